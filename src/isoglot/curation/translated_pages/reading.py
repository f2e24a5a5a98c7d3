"""A file as a page of sections, by its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.curation.translated_pages.html import html_sections
from isoglot.curation.translated_pages.markdown import markdown_sections
from isoglot.curation.translated_pages.rst import rst_sections
from isoglot.curation.translated_pages.sections import Page
from isoglot.documents.decoding import decode
from isoglot.documents.document import clean

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
