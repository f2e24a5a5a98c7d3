"""Read text files that are a single document: plain text, Markdown, HTML, reStructuredText."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from isoglot.core.problems import Problems
from isoglot.data.decoding import ENCODINGS, decode
from isoglot.documents.document import Document, Reader, Source, page_document
from isoglot.documents.html import html_page
from isoglot.documents.markdown import markdown_page
from isoglot.documents.page import Page, plain_page
from isoglot.documents.restructured_text import restructured_page


def _whole(parse: Callable[[str], Page], *, markup: bool = False) -> Reader:
    def read(source: Source, problems: Problems) -> Iterator[Document]:
        decoded = decode(source.path.read_bytes(), markup=markup)
        if decoded is None:
            problems.add(source.path, None, f"not a text in a known encoding; expected {ENCODINGS}")
            return
        if decoded.note:
            problems.warn(source.path, None, decoded.note)
        page = parse(decoded.text)
        if page.note:
            problems.warn(source.path, None, page.note)
        yield page_document(source, page)

    return read


read_text = _whole(plain_page)
read_markdown = _whole(markdown_page)
read_html = _whole(html_page, markup=True)
read_restructured = _whole(restructured_page)
