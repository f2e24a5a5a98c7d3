"""Read a file of any supported kind as a page of sections."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import shown
from isoglot.core.problems import Problems
from isoglot.documents.document import clean
from isoglot.documents.finding import find_sources
from isoglot.documents.page import Page as Parsed
from isoglot.documents.page import first_heading
from isoglot.documents.reading import read_documents
from isoglot.documents.sections import Section, sections

# Identifiers that a generator numbers: the same number may be a different section in another language.
_NUMBERED = re.compile(r"(id[mp]?|idn[\da-f]*|section|heading|toc|_|h)?[-_]?\d*", re.IGNORECASE)
_DECLARES_SITE = {".html", ".htm", ".xhtml"}  # their title often includes the name of the site


class Page(NamedTuple):
    """Title (empty if it has none) and sections of one file; each line of a section's text is a paragraph."""

    title: str
    sections: tuple[Section, ...]


def read_page(path: Path, problems: Problems | None = None) -> Page:
    """Read the title and sections of a file.

    Args:
        path: a file of a kind that holds a single document.
        problems: receives a warning if the file was read, but perhaps not as intended.

    Raises:
        InputError: the file cannot be read, has no known encoding, or is empty.
    """
    own = Problems()
    document = next(read_documents(find_sources([path]), own, as_declared=True), None)
    if document is None:
        raise InputError(own.shown[0] if own.shown else f"{path}: no text")
    if problems is not None and own.warned:
        problems.warn(path, None, own.shown[0].partition(": ")[2])
    found = tuple(filter(None, map(_tidied, sections(Parsed(document.blocks)))))
    if not found:
        raise InputError(f"{path}: no headings and no prose")
    top = next((section.title for section in found if section.level == 1), "")
    # A document without a title gets its file name as its title, or, unless it is HTML, its first heading; neither is a
    # page's title.
    site = path.suffix.lower() in _DECLARES_SITE
    untitled = (shown(path.stem), "" if site else _one_line(first_heading(document.blocks)))
    title = document.title if _one_line(document.title) not in untitled and not (top and site) else top
    return Page(_one_line(title), found)


def _tidied(section: Section) -> Section | None:
    """Put each paragraph on one line, dropping those without letters; None for an empty section before any heading."""
    paragraphs = (_one_line(part) for part in section.text.split("\n\n"))
    text = "\n".join(part for part in paragraphs if any(map(str.isalpha, part)))
    ident = "" if _NUMBERED.fullmatch(section.ident) else section.ident
    return Section(section.level, _one_line(section.title), ident, text) if section.level or text else None


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())
