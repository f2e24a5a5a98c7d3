"""A file as a page of sections, by its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.curation.translated_pages.html import html_sections
from isoglot.curation.translated_pages.markdown import markdown_sections
from isoglot.curation.translated_pages.rst import rst_sections
from isoglot.curation.translated_pages.sections import Outline, Page
from isoglot.data.decoding import decode
from isoglot.documents.document import clean
from isoglot.documents.finding import find_sources
from isoglot.documents.page import Page as DocumentPage
from isoglot.documents.reading import read_documents
from isoglot.documents.sections import sections

_READERS: dict[str, Callable[[str], Page]] = {
    ".md": markdown_sections,
    ".mdx": markdown_sections,
    ".markdown": markdown_sections,
    ".rst": rst_sections,
    ".html": html_sections,
    ".htm": html_sections,
    ".xhtml": html_sections,
}


def read_page(path: Path) -> Page:
    """Title and sections of a file.

    Raises:
        InputError: not to be read, in no known encoding, or empty.
    """
    if path.suffix.lower() not in _READERS:
        return _office_page(path)
    try:
        decoded = decode(path.read_bytes(), markup=path.suffix.lower() in (".html", ".htm", ".xhtml"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if decoded is None:
        raise InputError(f"{path}: not a text in a known encoding")
    page = _READERS[path.suffix.lower()](clean(decoded.text))
    if not page.sections:
        raise InputError(f"{path}: no headings and no prose")
    return page


def _office_page(path: Path) -> Page:
    """A file of a word processor or publisher, by the readers of documents."""
    problems = Problems()
    document = next(read_documents(find_sources([path]), problems), None)
    if document is None:
        raise InputError(problems.shown[0] if problems.shown else f"{path}: no text")
    found = sections(DocumentPage(document.blocks, document.title))
    # Without a title a document is called as its file, which is no title of a page.
    outline = Outline("" if document.title == path.stem else document.title)
    for section in found:
        outline.heading(section.level, section.title, section.ident or None)
        for paragraph in section.text.split("\n\n"):
            outline.prose(paragraph)
    page = outline.page()
    if not page.sections:
        raise InputError(f"{path}: no headings and no prose")
    return page
