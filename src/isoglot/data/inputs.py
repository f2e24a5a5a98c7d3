"""Stream rows from any input: files, globs, dicts, data frames, Arrow tables or `datasets` data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from glob import glob, has_magic
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from isoglot.core.errors import InputError
from isoglot.core.files import readable, sha256
from isoglot.core.problems import Problems
from isoglot.data.plain_values import plain
from isoglot.data.prepared_files import Placed
from isoglot.data.rows import Row, check_rows, columns_of_rows, read_rows

_DATASET = "rows"
_KINDS = (
    "expected row files, globs, one prepared folder, an iterable of dicts, a data frame, a pyarrow Table or a data set"
)


class Given(NamedTuple):
    """A readable source of rows.

    Attributes:
        rows: streams the rows; adds whatever is wrong with them to the `Problems` passed to it.
        digest: returns the SHA-256 of the content; None if the source can be read only once.
    """

    rows: Callable[[Problems], Iterator[Placed]]
    digest: Callable[[], str] | None


def rows_given(given: Any) -> Given:
    """Recognise the type of the input and return a source of its rows.

    Args:
        given: paths or globs (one or several), an iterable of dicts or `Row`s, a mapping of columns, a
            `datasets.Dataset`, or any object with `__arrow_c_stream__` (`pyarrow.Table`, pandas and polars frames).

    Raises:
        InputError: the input is none of these, has no rows or lacks a column, or a pattern matches no file.
    """
    if isinstance(given, (str, Path)):
        given = [given]
    remedy = other_form(given)
    if remedy is not None:
        raise InputError(f"rows are given as {type(given).__name__}; {remedy}")
    if isinstance(given, Mapping):
        return _columns(given)
    if hasattr(given, "__arrow_c_stream__"):
        return _arrow(with_named_index(given))
    if hasattr(given, "with_format") and hasattr(given, "iter"):
        # A data set from the package `datasets`.
        return _batches(lambda: given.with_format("arrow").iter(batch_size=4096), again=True)
    if not isinstance(given, Iterable):
        raise InputError(f"rows are given as {type(given).__name__}; {_KINDS}")
    again = isinstance(given, Sequence)
    stream = iter(given)
    first = next(stream, None)
    if first is None:
        raise InputError(f"no rows given; {_KINDS}")
    if isinstance(first, (str, Path)):
        return _files(chain([first], stream))
    if not isinstance(first, (Mapping, Row)):
        raise InputError(f"rows are given as {type(given).__name__} of {type(first).__name__}; {_KINDS}")
    if again:
        return _records(lambda: iter(given), again=True)
    return _records(lambda: chain([first], stream), again=False)


def other_form(given: Any) -> str | None:
    """What to pass instead of an object that holds records but cannot be read directly; None for any other input."""
    if hasattr(given, "read"):
        return "give the path of the file"
    if hasattr(given, "collect") and not hasattr(given, "__arrow_c_stream__"):
        return "give its frame, with `.collect()`"
    if isinstance(given, Mapping) and any(hasattr(part, "column_names") for part in given.values()):
        return f"give one of its splits ({', '.join(map(str, given))}), such as data[{next(iter(given))!r}]"
    return None


def with_named_index(given: Any) -> Any:
    """Return a pandas frame whose index has a name with it as a column; any other input as it is.

    Arrow gets such a column from pandas as well, unless the index is a range: then it would lack consecutive ids.
    """
    if not (hasattr(given, "reset_index") and hasattr(given, "columns")):
        return given
    name = given.index.name
    return given if name is None or name in given.columns else given.reset_index()


def files_given(paths: Iterable[Path | str]) -> list[Path]:
    """Expand paths and globs to files; those that match a glob come in alphabetical order.

    Raises:
        InputError: a pattern matches no file.
    """
    found: list[Path] = []
    for path in paths:
        if has_magic(str(path)) and not Path(path).exists():
            matched = sorted(glob(str(path), recursive=True))
            if not matched:
                raise InputError(f"{path}: no file matches this pattern")
            found += map(Path, matched)
        else:
            found.append(Path(path))
    return found


def _files(paths: Iterable[Path | str]) -> Given:
    files = files_given(paths)

    def digest() -> str:
        # The name counts, because it is the data set of rows that name none. A missing file raises an error only when
        # the rows are read; it counts here so that the digest differs from that of the other files alone.
        parts = []
        for path in files:
            with readable(path):
                parts.append(f"{path.name.split('.')[0]}\0{sha256(path) if path.is_file() else 'missing'}")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    return Given(lambda problems: (Placed(*entry) for entry in read_rows(files, problems)), digest)


def _records(read: Callable[[], Iterable[Any]], *, again: bool) -> Given:
    def rows(problems: Problems) -> Iterator[Placed]:
        for number, record in enumerate(read(), 1):
            yield from _checked(record, number, problems)

    def digest() -> str:
        found = hashlib.sha256()
        for record in read():
            found.update(json.dumps(_plain(record), sort_keys=True, default=repr).encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    return Given(rows, digest if again else None)


def _columns(given: Mapping[str, Any]) -> Given:
    try:
        table = pa.table(dict(given))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"rows are given as a dict that is no table of columns ({error}); {_KINDS}") from error
    return _arrow(table)


def _arrow(given: Any) -> Given:
    if isinstance(given, pa.RecordBatchReader):
        return _batches(lambda: iter(given), again=False)
    require_table(given, "rows", _KINDS)
    return _batches(lambda: pa.RecordBatchReader.from_stream(given), again=True)


def require_table(given: Any, what: str, expected: str) -> None:
    """Check that Arrow reads an object as a table.

    Raises:
        InputError: it is a single column, such as a pandas or polars series.
    """
    try:
        pa.RecordBatchReader.from_stream(given).close()
    except pa.ArrowException as error:
        raise InputError(
            f"{what} are given as {type(given).__name__}, which is no table ({error}); {expected}"
        ) from error


def _batches(read: Callable[[], Iterable[Any]], *, again: bool) -> Given:
    """The rows of record batches or tables."""

    def rows(problems: Problems) -> Iterator[Placed]:
        number = 0
        for batch in read():
            names = columns_of_rows("rows", batch.schema.names)
            for record in batch.select(names).to_pylist():
                number += 1
                yield from _checked(
                    {key: value for key, value in record.items() if value is not None}, number, problems
                )

    def digest() -> str:
        found = hashlib.sha256()
        for batch in read():
            # Batch by batch, because the texts of a whole table may not fit in memory.
            for record in batch.to_pylist():
                found.update(json.dumps(record, sort_keys=True, default=repr).encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    return Given(rows, digest if again else None)


def _checked(record: Any, number: int, problems: Problems) -> Iterator[Placed]:
    plain = _plain(record)
    if isinstance(plain, dict) and not plain.get("dataset"):
        plain["dataset"] = _DATASET
    for row in check_rows(plain, f"row {number}", None, problems):
        yield Placed(None, number, row)


def _plain(record: Any) -> Any:
    """Convert a record to what JSON would yield; `Row`s become dicts."""
    return plain(asdict(record) if isinstance(record, Row) else record)
