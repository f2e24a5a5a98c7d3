"""Choose the reader of a file by its extension."""

from __future__ import annotations

from pathlib import Path

from isoglot.documents import csv_files, epub, office_files, pdf, records, text_files, xml_books
from isoglot.documents.document import Reader

_RECORDS: dict[str, Reader] = {
    ".jsonl": records.read_jsonl,
    ".ndjson": records.read_jsonl,
    ".jsonl.gz": records.read_jsonl,
    ".ndjson.gz": records.read_jsonl,
    ".json": records.read_json,
    ".json.gz": records.read_json,
    ".csv": csv_files.read_separated,
    ".tsv": csv_files.read_separated,
    ".csv.gz": csv_files.read_separated,
    ".tsv.gz": csv_files.read_separated,
    ".parquet": records.read_parquet,
}
_READERS: dict[str, Reader] = {
    **_RECORDS,
    ".md": text_files.read_markdown,
    ".markdown": text_files.read_markdown,
    ".mdx": text_files.read_markdown,
    ".txt": text_files.read_text,
    ".html": text_files.read_html,
    ".htm": text_files.read_html,
    ".xhtml": text_files.read_html,
    ".rst": text_files.read_restructured,
    ".pdf": pdf.read_pdf,
    ".docx": office_files.read_docx,
    ".pptx": office_files.read_pptx,
    ".odt": office_files.read_opendocument,
    ".odp": office_files.read_opendocument,
    ".rtf": office_files.read_rtf,
    ".epub": epub.read_epub,
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
