"""Documents from any input: files and folders, or dicts, data frames, Arrow tables and data sets in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.inputs import other_form, require_table, with_named_index
from isoglot.data.plain_values import plain
from isoglot.documents.document import Document, Source
from isoglot.documents.records import ID_FIELDS, record_document

MEMORY = "documents"
_KINDS = "expected files and folders, an iterable of dicts, a data frame, a pyarrow Table or a data set"


class GivenDocuments(NamedTuple):
    """A readable source of documents.

    Attributes:
        files: files and folders that contain the documents; empty for documents in memory.
        records: streams documents in memory and adds invalid records to the `Problems` passed to it; None for files.
    """

    files: list[Path]
    records: Callable[[Problems], Iterator[Document]] | None = None


def documents_given(given: Any, *, by_id: bool = False) -> GivenDocuments:
    """Recognise the type of the input and return a source of its documents.

    Args:
        given: one or several paths; or records with `text` and optionally `id`, `title` and `lang` (further fields
            become metadata), as an iterable of dicts (read once and never held in memory as a whole), a pandas or
            polars data frame, a `pyarrow.Table` or a `datasets.Dataset`.
        by_id: whether records replace those with the same id; then a record without an id is a problem.

    Raises:
        InputError: the input is none of these.
    """
    if isinstance(given, (str, Path)):
        return GivenDocuments([Path(given)])
    remedy = other_form(given)
    if remedy is not None:
        raise InputError(f"documents are given as {type(given).__name__}; {remedy}")
    if hasattr(given, "__arrow_c_stream__"):
        given = with_named_index(given)
        if not hasattr(given, "read_next_batch"):  # a reader, which could not be read again
            require_table(given, MEMORY, _KINDS)
        return GivenDocuments([], lambda problems: _documents(_arrow_records(given), by_id, problems))
    if hasattr(given, "with_format") and hasattr(given, "iter"):  # a data set from the package `datasets`
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
        values = plain(record)
        if by_id and isinstance(values, dict) and not _has_id(values):
            problems.add(
                source.path, number, f"no id; to find what it replaces, an update needs one of {', '.join(ID_FIELDS)}"
            )
            continue
        document = record_document(values, source, number, 0, problems)
        if document is not None:
            yield document


def _has_id(record: Mapping[Any, Any]) -> bool:
    return any(str(key).strip().lower() in ID_FIELDS and value is not None for key, value in record.items())
