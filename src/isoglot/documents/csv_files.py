"""Read documents from CSV and TSV files, one per row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from isoglot.core.problems import Problems
from isoglot.data.csv_rows import separated_rows
from isoglot.data.text_streams import text_stream
from isoglot.documents.document import Document, Source
from isoglot.documents.records import TEXT_FIELDS, record_document


def read_separated(source: Source, problems: Problems) -> Iterator[Document]:
    """Read one document per row; the first line names the columns, in upper or lower case."""
    tabs = ".tsv" in source.path.name.lower()[-7:]
    with text_stream(source.path, problems) as (stream, file):
        if stream is None:
            return
        rows = separated_rows(stream, source.path, problems, tabs=tabs)
        _, _, names = next(rows, (0, 0, []))
        if not names:
            problems.add(source.path, None, "no header line; the file is empty")
            return
        columns = [column.strip() for column in names]
        if not {column.lower() for column in columns} & set(TEXT_FIELDS):
            problems.add(
                source.path, 1, f"no column {' or '.join(TEXT_FIELDS)}; the columns are: {', '.join(columns)[:300]}"
            )
            return
        twice = [name for name, count in Counter(column.lower() for column in columns if column).items() if count > 1]
        if twice:
            problems.warn(source.path, 1, f"two columns are called {twice[0]!r}; only one of them is read")
        for number, _, values in rows:
            if len(values) != len(columns):
                problems.add(source.path, number, f"{len(values)} columns; the first line has {len(columns)}")
                continue
            filled = {key: value for key, value in zip(columns, values, strict=True) if value}
            document = record_document(filled, source, number, source.start + file.tell(), problems)
            if document is not None:
                yield document
