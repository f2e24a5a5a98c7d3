"""Guess layouts: find the patterns under which most pages exist in several languages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import PurePosixPath

from isoglot.curation.translated_pages.codes import folder_code
from isoglot.curation.translated_pages.layouts import ENDINGS, Layout, numbered, pages_of, without_ending

_SEPARATORS = (".", "_", "-")
_WORDS = {"an", "as", "in", "or", "so", "to"}  # language codes, but also common last words of names (`how-to`)
_TRIED = 12  # patterns to examine closely
_LEAST_EXPLAINED = 0.3  # share of the translations below a folder that must have an original
_LEAST_SHARED = 0.5  # of a language's pages in other languages, too: below, its folder's name only looks like a code
_LEAST_WORTH = 0.02  # of a further layout, relative to the best
_SAME_NAME = 400  # files of the same name to compare, at most

_SELDOM_PAGES = (".xml", ".txt")  # more often resources of programs, such as `res/values-de/strings.xml`

Pages = dict[str, dict[str, str]]
"""The file in each language, for each path."""


def guess_layouts(files: Iterable[str], pivot: str) -> tuple[Layout, ...]:
    """Return the layouts of a folder's files, best first; none if no page exists in two languages.

    A folder or part of a file name counts as a language if it looks like one and most of its pages exist in another
    language, too: under the same pattern or, for the pivot, where no language is named. XML and plain text, in which
    programs keep their messages, are used only if no other documents exist in two languages.

    Args:
        files: paths under the folder, with slashes.
        pivot: language of pages whose path names no language.
    """
    documents = [file for file in files if PurePosixPath(file).suffix.lower() in ENDINGS]
    written = [file for file in documents if PurePosixPath(file).suffix.lower() not in _SELDOM_PAGES]
    return _layouts(written, pivot) or _layouts(documents, pivot)


def _layouts(files: list[str], pivot: str) -> tuple[Layout, ...]:
    left, found = files, list[Layout]()
    best_worth, langs = 0, set[str]()
    while True:
        worth, layout = _best(left, pivot)
        if layout is None or worth < _LEAST_WORTH * best_worth or (found and not layout.langs <= langs | {pivot}):
            return numbered(found)
        layout = _with_other_separators(layout, left, pivot)
        found.append(layout)
        best_worth, langs = max(worth, best_worth), langs | layout.langs
        claimed = {page for page, versions in pages_of(left, [layout], pivot).items() if len(versions) > 1}
        left = [file for file in left if (match := layout.match(file, pivot)) is None or match.page not in claimed]


def _best(files: list[str], pivot: str) -> tuple[int, Layout | None]:
    """Return the layout with the most files in multilingual pages, and their number."""
    templates = sorted(_templates(files).items(), key=lambda entry: (-_worth(entry[1]), -len(entry[1]), entry[0]))
    alone = [entry for entry in templates if not _worth(entry[1])]
    best: tuple[int, Layout | None] = (0, None)
    for pattern, pages in [*templates[:_TRIED], *alone[:_TRIED]]:
        for layout in filter(None, (_narrowed(pattern, pages), _with_originals(pattern, pages, files, pivot))):
            kept = _kept(pages_of(files, [layout], pivot), pivot)
            worth = _worth(kept)
            if worth > best[0]:
                best = (worth, replace(layout, langs=_langs(kept)))
    return best


def _with_other_separators(layout: Layout, files: list[str], pivot: str) -> Layout:
    """Extend a layout of file names by other separators before the language, as in `x.de.md` beside `x-fr.md`."""
    first = layout.patterns[0]
    if "{path}" in first.partition("{lang}")[2] or "/" in first.partition("{path}")[2]:
        return layout
    head, _, rest = first.partition("{lang}")
    for separator in _SEPARATORS:
        wider = replace(layout, patterns=(*layout.patterns, f"{head[:-1]}{separator}{{lang}}{rest}"), langs=frozenset())
        if wider.patterns[-1] in layout.patterns:
            continue
        before, kept = (_kept(pages_of(files, [one], pivot), pivot) for one in (layout, wider))
        if _worth(kept) > _worth(before):
            layout = replace(wider, langs=_langs(kept))
    return layout


def _langs(pages: Pages) -> frozenset[str]:
    return frozenset(lang for versions in pages.values() if len(versions) > 1 for lang in versions)


def _templates(files: list[str]) -> dict[str, Pages]:
    """Return all patterns that find a language in the path of some file, with the resulting pages."""
    templates: dict[str, Pages] = defaultdict(lambda: defaultdict(dict))
    for file in files:
        for pattern, page, lang in [*_in_folders(file), *_in_name(file), *_in_both(file)]:
            templates[pattern][page][lang] = file
    return templates


def _in_folders(file: str) -> Iterator[tuple[str, str, str]]:
    """Yield (pattern, page, language) if a folder is or contains a language (`de`, `docs-de`, `de.lproj`)."""
    *folders, name = file.split("/")
    for at, folder in enumerate(folders):
        page = without_ending("/".join([*folders[at + 1 :], name]))
        lang = folder_code(folder)
        if lang is not None:
            yield "/".join([*folders[:at], "{lang}", "{path}"]), page, lang
            if at and at == len(folders) - 1:
                yield f"{{path}}/{{lang}}/{name}", "/".join(folders[:at]), lang
        for head, separator, last in _ends(folder) if lang is None else ():
            yield "/".join([*folders[:at], f"{head}{separator}{{lang}}", "{path}"]), page, last
        first, dot, rest = folder.partition(".")
        begun = folder_code(first) if rest and lang is None else None
        if begun is not None:
            yield "/".join([*folders[:at], f"{{lang}}{dot}{rest}", "{path}"]), page, begun


def _in_name(file: str) -> Iterator[tuple[str, str, str]]:
    """Yield (pattern, page, language) if a file's name is a language, ends in one or begins with one."""
    *folders, name = file.split("/")
    ending = PurePosixPath(name).suffix
    stem = name.removesuffix(ending)
    whole = folder_code(stem)
    if whole is not None:
        if folders:
            yield f"{{path}}/{{lang}}{ending}", "/".join(folders), whole
        return
    for head, separator, lang in _ends(stem):
        yield f"{{path}}{separator}{{lang}}{ending}", "/".join([*folders, head]), lang
    for separator in _SEPARATORS[1:]:
        first, _, rest = stem.partition(separator)
        begun = folder_code(first) if rest else None
        if begun is not None:
            yield "/".join([*folders, f"{{lang}}{separator}{{path}}"]), rest, begun


def _in_both(file: str) -> Iterator[tuple[str, str, str]]:
    """Yield (pattern, page, language) if a folder is a language in which the file's name ends (`de/page.de.html`)."""
    ending = PurePosixPath(file).suffix
    for pattern, page, lang in _in_folders(file):
        folder, slash, name = page.rpartition("/")
        for head, separator, own in _ends(name) if pattern.endswith("{path}") else ():
            if own == lang:
                yield f"{pattern}{separator}{{lang}}{ending}", f"{folder}{slash}{head}", lang


def _ends(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield (part before the separator, separator, language) for every way in which a name ends in a language."""
    for at, letter in enumerate(name):
        lang = folder_code(name[at + 1 :]) if letter in _SEPARATORS and at else None
        if lang is not None and name[at + 1 :] not in _WORDS:
            yield name[:at], letter, lang


def _worth(pages: Pages) -> int:
    return sum(len(versions) for versions in pages.values() if len(versions) > 1)


def _kept(pages: Pages, pivot: str) -> Pages:
    """Return the pages without languages that have too few pages in common with others."""
    total, shared = Counter[str](), Counter[str]()
    for versions in pages.values():
        total.update(list(versions))
        if len(versions) > 1:
            shared.update(list(versions))
    # The original language is exempt, as most of its pages may not be translated yet.
    original = pivot if pivot in total else max(total, key=lambda lang: total[lang], default="")
    out = {lang for lang in total if lang != original and shared[lang] < _LEAST_SHARED * total[lang]}
    return {path: {lang: file for lang, file in own.items() if lang not in out} for path, own in pages.items()}


def _narrowed(pattern: str, pages: Pages) -> Layout:
    """Return the pattern with the common leading folders of all paths written out."""
    several = [path for path, versions in pages.items() if len(versions) > 1]
    shared: list[str] = []
    if pattern.endswith("/{path}") or pattern == "{path}":
        for parts in zip(*(path.split("/")[:-1] for path in several), strict=False):
            if len(set(parts)) > 1:
                break
            shared.append(parts[0])
    return Layout((pattern.replace("{path}", "/".join([*shared, "{path}"])),), guessed=True)


def _with_originals(pattern: str, pages: Pages, files: list[str], pivot: str) -> Layout | None:
    """Return the pattern with one for pivot pages outside of it; None if there is none, or most are inside."""
    if sum(pivot in versions for versions in pages.values()) * 2 >= len(pages):
        return None
    if "{lang}-{path}" in pattern or "{lang}_{path}" in pattern:
        return None  # `my-page.md` beside `page.md` is no translation
    if pattern.startswith("{path}/"):
        return Layout((pattern, pattern.replace("/{lang}", "")), guessed=True)
    inside = {file for versions in pages.values() for file in versions.values()}
    explained = _explained([without_ending(file) for file in files if file not in inside], pages)
    for (there, here), paths in sorted(explained.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        below = sum(path.startswith(f"{here}/") or not here for path in pages)
        if len(paths) >= _LEAST_EXPLAINED * below:
            ending = pattern.partition("{lang}")[2] if pattern.startswith("{path}") else ""
            own = pattern.replace("{path}", f"{here}/{{path}}" if here else "{path}")
            return Layout((own, (f"{there}/{{path}}" if there else "{path}") + ending), guessed=True)
    return None


def _explained(outside: Iterable[str], pages: Iterable[str]) -> dict[tuple[str, str], set[str]]:
    """Return (folder of originals, folder of translations) -> the pages in the latter that have one in the former."""
    by_name: dict[str, list[list[str]]] = defaultdict(list)
    for path in pages:
        parts = path.split("/")
        by_name[parts[-1]].append(parts)
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for file in outside:
        original = file.split("/")
        for translation in by_name.get(original[-1], ())[:_SAME_NAME]:
            ends = zip(reversed(original), reversed(translation), strict=False)
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
            found["/".join(original[:-same]), "/".join(translation[:-same])].add("/".join(translation))
    return found
