"""Choose the reader of a file by its extension."""

from __future__ import annotations

from pathlib import Path

from isoglot.documents import books, offices, pages, pdf, records, separated, xml_books
from isoglot.documents.document import Reader

_RECORDS: dict[str, Reader] = {
    ".jsonl": records.read_jsonl,
    ".ndjson": records.read_jsonl,
    ".jsonl.gz": records.read_jsonl,
    ".ndjson.gz": records.read_jsonl,
    ".json": records.read_json,
    ".json.gz": records.read_json,
    ".csv": separated.read_separated,
    ".tsv": separated.read_separated,
    ".csv.gz": separated.read_separated,
    ".tsv.gz": separated.read_separated,
    ".parquet": records.read_parquet,
}
_READERS: dict[str, Reader] = {
    **_RECORDS,
    ".md": pages.read_markdown,
    ".markdown": pages.read_markdown,
    ".mdx": pages.read_markdown,
    ".txt": pages.read_text,
    ".html": pages.read_html,
    ".htm": pages.read_html,
    ".xhtml": pages.read_html,
    ".rst": pages.read_restructured,
    ".pdf": pdf.read_pdf,
    ".docx": offices.read_docx,
    ".pptx": offices.read_pptx,
    ".odt": offices.read_opendocument,
    ".odp": offices.read_opendocument,
    ".rtf": offices.read_rtf,
    ".epub": books.read_epub,
    ".xml": xml_books.read_xml,
    ".dbk": xml_books.read_xml,
    ".docbook": xml_books.read_xml,
    ".tei": xml_books.read_xml,
}


def kinds() -> list[str]:
    """Return all extensions that can be read."""
    return list(_READERS)


def page_kinds() -> list[str]:
    """Return the extensions of files that are a single document."""
    return [ending for ending in _READERS if ending not in _RECORDS]


def kind_of(path: Path) -> str | None:
    """Return the known extension of a file, such as `.jsonl.gz`; None if it has none."""
    name = path.name.lower()
    return next((ending for ending in _READERS if name.endswith(ending)), None)


def holds_records(path: Path) -> bool:
    """Whether a file holds records: many documents, which may have their own ids."""
    return kind_of(path) in _RECORDS


def reader_of(path: Path) -> Reader:
    """Return the reader for a file; that of plain text if its kind is unknown."""
    return _READERS[kind_of(path) or ".txt"]
