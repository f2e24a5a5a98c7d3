"""Read EPUB books, with chapters in reading order."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag

from isoglot.core.problems import Problems
from isoglot.data.decoding import decode
from isoglot.documents.document import Document, Source, page_document
from isoglot.documents.html import html_page
from isoglot.documents.page import Block, Page, first_heading
from isoglot.documents.xml_blocks import local
from isoglot.documents.zip_files import UnreadableError, unpacked, xml_root

_CONTAINER = "META-INF/container.xml"


def read_epub(source: Source, problems: Problems) -> Iterator[Document]:
    """Read a book as one document, without its table of contents."""
    try:
        page = _book(source, problems)
    except UnreadableError as error:
        problems.add(source.path, None, f"not a readable EPUB: {error}")
        return
    yield page_document(source, page)


def _book(source: Source, problems: Problems) -> Page:
    blocks: list[Block] = []
    with unpacked(source.path) as archive:
        place = next(
            (file.get("full-path") for file in xml_root(archive.read(_CONTAINER)).iter() if local(file) == "rootfile"),
            None,
        )
        if not place:
            raise UnreadableError(f"{_CONTAINER} names no package")
        package = xml_root(archive.read(place))
        for member in _parts(package, posixpath.dirname(place)):
            try:
                decoded = decode(archive.read(member), markup=True)
            except KeyError:
                problems.warn(source.path, None, f"the book's part {member} is missing")
                continue
            if decoded is None:
                problems.warn(source.path, None, f"the book's part {member} is not a text in a known encoding")
                continue
            part = html_page(decoded.text)
            blocks += part.blocks
            for note in filter(None, (decoded.note, part.note)):
                problems.warn(source.path, None, f"{member}: {note}")
    found = tuple(blocks)
    return Page(found, _said(package, "title") or first_heading(found), _said(package, "language") or None)


def _parts(package: Any, folder: str) -> list[str]:
    """Return the names of the archive's members that hold chapters, in reading order.

    Each is read once: a small file could name one a million times.
    """
    items = {item.get("id"): item for item in package.iter() if local(item) == "item"}
    read = [items.get(entry.get("idref")) for entry in package.iter() if local(entry) == "itemref"]
    paths = [
        unquote(urldefrag(item.get("href")).url)
        for item in read
        if item is not None and "nav" not in (item.get("properties") or "").split() and item.get("href")
    ]
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(folder, path)) for path in paths))


def _said(package: Any, name: str) -> str:
    """Return the text of the first non-empty element (Dublin Core) of that name; "" if there is none."""
    texts = (" ".join("".join(part.itertext()).split()) for part in package.iter() if local(part) == name)
    return next(filter(None, texts), "")
