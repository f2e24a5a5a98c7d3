"""Documents however a user has them: files and folders, or dicts, frames, Arrow tables and data sets in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source
from isoglot.documents.records import ID_FIELDS, record_document

MEMORY = "documents"
_KINDS = "expected files and folders, an iterable of dicts, a data frame, a pyarrow Table or a data set"


class GivenDocuments(NamedTuple):
    """Documents that can be read.

    Attributes:
        files: files and folders to find them in.
        records: reads those in memory, noting what is none; None where files were given.
    """

    files: list[Path]
    records: Callable[[Problems], Iterator[Document]] | None = None


def documents_given(given: Any, *, by_id: bool = False) -> GivenDocuments:
    """Find out how documents are given.

    Args:
        given: a path or several; or dicts with `text` and, as far as there are, `id`, `title`, `lang` (further fields
            become metadata), as an iterable, which is read once and never held as a whole, a frame of pandas or polars,
            a `pyarrow.Table`, or a `datasets.Dataset`.
        by_id: refuse dicts without an id, since a later one could not tell which document it replaces.

    Raises:
        InputError: none of these.
    """
    if isinstance(given, (str, Path)):
        return GivenDocuments([Path(given)])
    if hasattr(given, "__arrow_c_stream__"):
        return GivenDocuments([], lambda problems: _documents(_arrow_records(given), by_id, problems))
    if hasattr(given, "with_format") and hasattr(given, "iter"):  # a data set of the package `datasets`
        tables = given.with_format("arrow").iter(batch_size=4096)
        return GivenDocuments([], lambda problems: _documents(_rows(tables), by_id, problems))
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise InputError(f"documents are given as {type(given).__name__}; {_KINDS}")
    stream = iter(given)
    first = next(stream, None)
    if first is None:
        return GivenDocuments([])
    if isinstance(first, (str, Path)):
        return GivenDocuments([Path(first), *map(Path, stream)])
    return GivenDocuments([], lambda problems: _documents(chain([first], stream), by_id, problems))


def _arrow_records(given: Any) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa

    return _rows(pa.RecordBatchReader.from_stream(given))


def _rows(tables: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for table in tables:
        for record in table.to_pylist():
            yield {key: value for key, value in record.items() if value is not None}


def _documents(records: Iterable[Any], by_id: bool, problems: Problems) -> Iterator[Document]:
    source = Source(Path(MEMORY), MEMORY, 0, 0)
    for number, record in enumerate(records, 1):
        plain = dict(record) if isinstance(record, Mapping) else record
        if by_id and isinstance(plain, dict) and not _has_id(plain):
            problems.add(
                source.path, number, f"no id; an update finds what it replaces by one of {', '.join(ID_FIELDS)}"
            )
            continue
        document = record_document(plain, source, number, 0, problems)
        if document is not None:
            yield document


def _has_id(record: Mapping[Any, Any]) -> bool:
    return any(str(key).strip().lower() in ID_FIELDS and value is not None for key, value in record.items())
