"""Documents out of CSV and TSV files, one a row."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from isoglot.core.problems import Problems
from isoglot.documents.decoding import decode
from isoglot.documents.document import Document, Source
from isoglot.documents.records import TEXT_FIELDS, record_document

_SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}


def read_separated(source: Source, problems: Problems) -> Iterator[Document]:
    """One document a row; the first line names the columns, in any case.

    In CSV the separator is what parts the first line best: a comma, a semicolon, a tab or a bar. In TSV a quotation
    mark is a character like any other, unless it encloses a field whose own quotation marks are doubled.
    """
    name = source.path.name.lower()
    tabs = ".tsv" in name[-7:]
    with _opened(source, problems) as (stream, file):
        if stream is None:
            return
        rows = _rows(stream, source, problems, tabs)
        _, names = next(rows, (0, []))
        if not names:
            problems.add(source.path, None, "no line names the columns; the file is empty")
            return
        columns = [column.strip() for column in names]
        if not {column.lower() for column in columns} & set(TEXT_FIELDS):
            problems.add(
                source.path, 1, f"no column {' or '.join(TEXT_FIELDS)}; the columns are: {', '.join(columns)[:300]}"
            )
            return
        for number, values in rows:
            if len(values) != len(columns):
                problems.add(source.path, number, f"{len(values)} columns; the first line has {len(columns)}")
                continue
            filled = {key: value for key, value in zip(columns, values, strict=True) if value}
            document = record_document(filled, source, number, source.start + file.tell(), problems)
            if document is not None:
                yield document


def _rows(stream: Any, source: Source, problems: Problems, tabs: bool) -> Iterator[tuple[int, list[str]]]:
    """Number of the line that a row ends in, and its fields."""
    if tabs:
        for number, line in enumerate(stream, 1):
            fields = line.rstrip("\r\n").split("\t")
            if any(fields):
                yield number, [_unquoted(field) for field in fields]
        return
    csv.field_size_limit(2**31 - 1)
    first = stream.readline()
    delimiter = max(_SEPARATORS, key=lambda sign: _columns(first, sign))
    reader = csv.reader(_with(first, stream), delimiter=delimiter, strict=True)
    while True:
        begun = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f"lines {begun} to {reader.line_num}" if reader.line_num > begun else "the line"
            problems.add(source.path, begun, f"not readable as CSV ({error}); {lines} passed over")
            continue
        if any(values):
            yield reader.line_num, values


def _with(first: str, stream: Any) -> Iterator[str]:
    yield first
    yield from stream


def _columns(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return 0


def _unquoted(field: str) -> str:
    """A field without quotation marks around it, where those within are doubled, as spreadsheets write them."""
    inner = field[1:-1]
    if len(field) > 3 and field[0] == field[-1] == '"' and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field


@contextmanager
def _opened(source: Source, problems: Problems) -> Iterator[tuple[Any, IO[bytes]]]:
    """A stream of text, and the file whose position tells how much is read."""
    zipped = source.path.name.lower().endswith(".gz")
    with source.path.open("rb") as file:
        data: Any = gzip.GzipFile(fileobj=file) if zipped else file
        if _is_utf8(data):
            data.seek(0)
            with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as stream:
                yield stream, file
            return
        data.seek(0)
        decoded = decode(data.read())
        if decoded is None:
            problems.add(source.path, None, "not UTF-8, nor in another known encoding; convert it")
            yield None, file
            return
        if decoded.guessed:
            problems.warn(source.path, None, f"not UTF-8; read as {decoded.encoding}, which is a guess")
        yield io.StringIO(decoded.text, newline=""), file


def _is_utf8(stream: Any) -> bool:
    """Whether all of it is UTF-8 (and not UTF-16, whose zero bytes UTF-8 allows)."""
    from codecs import getincrementaldecoder

    decoder = getincrementaldecoder("utf-8")()
    try:
        while chunk := stream.read(1 << 20):
            if b"\0" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
