"""Guessing layouts: the patterns under which the most pages exist in several languages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from isoglot.curation.translated_pages.codes import folder_code
from isoglot.curation.translated_pages.layouts import ENDINGS, Layout, numbered, pages_of, without_ending

_SEPARATORS = (".", "_", "-")
_TRIED = 12  # patterns that get a closer look
_LEAST_EXPLAINED = 0.3  # of the translations below a folder, by originals beside it
_LEAST_SHARED = 0.5  # of a language's pages: with fewer in another language, its folder's name only looks like a code
_LEAST_WORTH = 0.02  # of a further layout, against the best
_SAME_NAME = 400  # files of one name that are compared

Pages = dict[str, dict[str, str]]
"""For each path, its file in each language."""


def guess_layouts(files: Iterable[str], pivot: str) -> tuple[Layout, ...]:
    """Layouts of a folder's files, best first; none where no page is there in two languages.

    A folder or the end of a file's name is taken for a language where it reads like one and most of its pages are
    there in another language too: under the same pattern, or (for the pivot) where no language is named.

    Args:
        files: paths under the folder, with slashes.
        pivot: the language of pages that stand where no language is named.
    """
    left = [file for file in files if PurePosixPath(file).suffix.lower() in ENDINGS]
    found: list[Layout] = []
    best_worth, langs = 0, set[str]()
    while True:
        worth, layout = _best(left, pivot)
        if layout is None or worth < _LEAST_WORTH * best_worth or (found and not layout.langs <= langs | {pivot}):
            return numbered(found)
        found.append(layout)
        best_worth, langs = max(worth, best_worth), langs | layout.langs
        claimed = {file for page in pages_of(left, [layout], pivot).values() if len(page) > 1 for file in page.values()}
        left = [file for file in left if file not in claimed]


def _best(files: list[str], pivot: str) -> tuple[int, Layout | None]:
    """The layout with the most files in pages of several languages, and how many these are."""
    templates = sorted(_templates(files).items(), key=lambda entry: (-_worth(entry[1]), -len(entry[1]), entry[0]))
    alone = [entry for entry in templates if not _worth(entry[1])]
    best: tuple[int, Layout | None] = (0, None)
    for pattern, pages in [*templates[:_TRIED], *alone[:_TRIED]]:
        for layout in filter(None, (_narrowed(pattern, pages), _with_originals(pattern, pages, files, pivot))):
            kept = _kept(pages_of(files, [layout], pivot), pivot)
            worth = _worth(kept)
            if worth > best[0]:
                langs = frozenset(lang for page in kept.values() if len(page) > 1 for lang in page)
                best = (worth, replace(layout, langs=langs))
    return best


def _templates(files: list[str]) -> dict[str, Pages]:
    """All patterns that read a language out of some file's path, with the pages they give."""
    templates: dict[str, Pages] = defaultdict(lambda: defaultdict(dict))
    for file in files:
        *folders, name = file.split("/")
        for at, folder in enumerate(folders):
            lang = folder_code(folder)
            if lang is not None:
                pattern = "/".join([*folders[:at], "{lang}", "{path}"])
                templates[pattern][without_ending("/".join([*folders[at + 1 :], name]))][lang] = file
        ending = PurePosixPath(name).suffix
        stem = name.removesuffix(ending)
        for separator in _SEPARATORS:
            for at in (at for at, letter in enumerate(stem) if letter == separator and at):
                lang = folder_code(stem[at + 1 :])
                if lang is not None:
                    pattern = f"{{path}}{separator}{{lang}}{ending}"
                    templates[pattern]["/".join([*folders, stem[:at]])][lang] = file
    return templates


def _worth(pages: Pages) -> int:
    return sum(len(versions) for versions in pages.values() if len(versions) > 1)


def _kept(pages: Pages, pivot: str) -> Pages:
    """Pages without the languages that share too few of them."""
    total, shared = Counter[str](), Counter[str]()
    for versions in pages.values():
        total.update(list(versions))
        if len(versions) > 1:
            shared.update(list(versions))
    # Most of the originals may wait for a translation.
    original = pivot if pivot in total else max(total, key=lambda lang: total[lang], default="")
    out = {lang for lang in total if lang != original and shared[lang] < _LEAST_SHARED * total[lang]}
    return {path: {lang: file for lang, file in own.items() if lang not in out} for path, own in pages.items()}


def _narrowed(pattern: str, pages: Pages) -> Layout:
    """The pattern with the folders that all paths begin with written out."""
    several = [path for path, versions in pages.items() if len(versions) > 1]
    shared: list[str] = []
    if pattern.endswith("/{path}") or pattern == "{path}":
        for parts in zip(*(path.split("/")[:-1] for path in several), strict=False):
            if len(set(parts)) > 1:
                break
            shared.append(parts[0])
    return Layout((pattern.replace("{path}", "/".join([*shared, "{path}"])),), guessed=True)


def _with_originals(pattern: str, pages: Pages, files: list[str], pivot: str) -> Layout | None:
    """The layout with the place of the pivot's pages, where they stand outside of the pattern."""
    if sum(pivot in versions for versions in pages.values()) * 2 >= len(pages):
        return None
    inside = {file for versions in pages.values() for file in versions.values()}
    outside = [without_ending(file).split("/") for file in files if file not in inside]
    by_name: dict[str, list[list[str]]] = defaultdict(list)
    for path in pages:
        parts = path.split("/")
        by_name[parts[-1]].append(parts)
    explained: dict[tuple[str, str], set[str]] = defaultdict(set)
    for original in outside:
        for translation in by_name.get(original[-1], ())[:_SAME_NAME]:
            same = 0
            while same < min(len(original), len(translation)) and original[-1 - same] == translation[-1 - same]:
                same += 1
            places = ("/".join(original[:-same]), "/".join(translation[:-same]))
            explained[places].add("/".join(translation))
    for (there, here), paths in sorted(explained.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        below = sum(path.startswith(f"{here}/") or not here for path in pages)
        if len(paths) >= _LEAST_EXPLAINED * below:
            ending = pattern.partition("{lang}")[2] if pattern.startswith("{path}") else ""
            own = pattern.replace("{path}", f"{here}/{{path}}" if here else "{path}")
            return Layout((own, (f"{there}/{{path}}" if there else "{path}") + ending), guessed=True)
    return None
