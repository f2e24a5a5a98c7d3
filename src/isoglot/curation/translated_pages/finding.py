"""Find the pages of a folder that exist in several languages, or give advice if there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import shown
from isoglot.curation.translated_pages.guessing import guess_layouts
from isoglot.curation.translated_pages.layouts import ENDINGS, Layout, pages_of
from isoglot.languages.codes import UNKNOWN

# Advice for documentation that is not translated page by page, or whose pages have to be converted first.
_ELSEWHERE = {
    ".po": "gettext catalogues are translated sentences, not pages: build the translated pages (`sphinx-build -b html "
    "-D language=de`) and name their folder, or take the catalogues as bitext (`isoglot data from-bitext`)",
    ".adoc": "convert AsciiDoc to HTML (asciidoctor) and name that folder",
    ".asciidoc": "convert AsciiDoc to HTML (asciidoctor) and name that folder",
    ".org": "convert it to Markdown or HTML (pandoc)",
    ".textile": "convert it to Markdown or HTML (pandoc)",
    ".mediawiki": "convert it to Markdown or HTML (pandoc)",
    ".ipynb": "convert notebooks to Markdown (`jupyter nbconvert --to markdown`)",
    ".page": "convert Mallard to HTML (yelp-build html) and name that folder",
    "man": "convert manual pages to HTML (mandoc -T html) and name that folder",
}
_MOST_HINTS = 3


class FoundPages(NamedTuple):
    """What a folder holds.

    Attributes:
        layouts: given or guessed.
        pages: the file of each language for each page.
        left_out: (file, reason) of documents that are no page.
        hints: advice on files of kinds that cannot be read.
    """

    layouts: tuple[Layout, ...]
    pages: dict[str, dict[str, str]]
    left_out: list[tuple[str, str]]
    hints: tuple[str, ...]


def find_pages(folder: Path, layouts: Sequence[Layout], pivot: str) -> FoundPages:
    """Find the pages of a folder.

    Hidden files and folders and `node_modules` are skipped.

    Args:
        folder: holds all language versions.
        layouts: where the language versions are; guessed when empty.
        pivot: language of pages whose path names no language.

    Raises:
        InputError: the folder does not exist, has no documents, or no page exists in two languages.
    """
    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: no such folder; expected one that holds documents in several languages")
    found, others = _files(folder)
    files = [file for file in found if shown(file) == file]
    if not files:
        raise InputError(
            f"{shown(folder)}: no documents here; the kinds are {', '.join(ENDINGS)}{_hints(others)}",
        )
    chosen = tuple(layouts) or guess_layouts(files, pivot)
    if not chosen:
        raise InputError(
            f"{shown(folder)}: no page of its {len(files)} documents was found in two languages; give "
            "`layouts`, such as 'docs/{lang}/{path}', '{path}.{lang}.md', or "
            f"'i18n/{{lang}}/{{path}}|docs/{{path}}' where the {pivot} pages stand elsewhere"
            f"{_other_pivot(files, pivot)}{_hints(others)}"
        )
    pages = pages_of(files, chosen, pivot)
    if not any(len(versions) > 1 for versions in pages.values()):
        raise InputError(
            f"{shown(folder)}: no page exists in two languages under {' and '.join(map(str, chosen))} "
            f"({len(pages)} pages, {len(files)} documents, such as {', '.join(files[:_MOST_HINTS])}){_hints(others)}"
        )
    used = {file for versions in pages.values() for file in versions.values()}
    left_out = [(file, _why_not(file, chosen, pivot, pages)) for file in files if file not in used]
    left_out += [(shown(file), "its name is not UTF-8") for file in found if shown(file) != file]
    return FoundPages(chosen, pages, left_out, _advice(others))


def _files(folder: Path) -> tuple[list[str], Counter[str]]:
    """Return the documents below a folder, sorted, and counts of other kinds of files that may be documentation."""
    files, others = [], Counter[str]()
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") or part == "node_modules" for part in name.split("/")) or not path.is_file():
            continue
        ending = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
        if path.suffix.lower() in ENDINGS:
            files.append(name)
        elif ending in _ELSEWHERE:
            others[ending] += 1
        elif ending[1:2].isdigit() and any(part.startswith("man") for part in name.split("/")[:-1]):
            others["man"] += 1
    return sorted(files), others


def _why_not(file: str, layouts: Sequence[Layout], pivot: str, pages: dict[str, dict[str, str]]) -> str:
    for layout in layouts:
        found = layout.match(file, pivot)
        if found is not None and found.lang in pages.get(found.page, {}):
            return "another file has this page in this language"
    return "it does not match the layout"


def _other_pivot(files: list[str], pivot: str) -> str:
    """Return advice if a layout would be found with another language for the pages that name none; otherwise empty."""
    other = guess_layouts(files, UNKNOWN)
    plain = next((pattern for layout in other for pattern in layout.patterns if "{lang}" not in pattern), None)
    if plain is None:
        return ""
    return (
        f". '{other[0]}' would match pages; those under '{plain}' cannot be in {pivot}, whose pages "
        "have the code in their names: give their language as `pivot`"
    )


def _hints(others: Counter[str]) -> str:
    return "".join(f". {advice}" for advice in _advice(others))


def _advice(others: Counter[str]) -> tuple[str, ...]:
    """Return advice on files of kinds that cannot be read."""
    most = others.most_common(_MOST_HINTS)
    return tuple(f"{count} {kind} files are not read: {_ELSEWHERE[kind]}" for kind, count in most)
