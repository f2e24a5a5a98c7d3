"""The rows of Parquet files as dicts, under the names that a reader wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError

Choose = Callable[[Sequence[str]], Mapping[str, str]]
"""From the columns of a file to those to read: our name and the column's."""


def parquet_rows(path: Path, choose: Choose | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Stream the rows of a Parquet file, each with its 1-based number; memory holds a few thousand.

    Args:
        path: the file.
        choose: picks and renames columns, or raises InputError; all under their own names when None.

    Raises:
        InputError: no such file, or not readable as Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chosen = {name: name for name in names} if choose is None else choose(names)
            # Some programs write texts without saying that they are.
            types = dict(zip(names, file.schema_arrow.types, strict=True))
            bare = [ours for ours, column in chosen.items() if _is_bytes(types[column])]
            number = 0
            for batch in file.iter_batches(batch_size=8192, columns=list(chosen.values())):
                for record in batch.to_pylist():
                    number += 1
                    values = {ours: record[column] for ours, column in chosen.items()}
                    for name in bare:
                        values[name] = _text_of(values[name])
                    yield number, values
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read (Permission denied)") from error
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:  # times that Python cannot hold
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error


def _is_bytes(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _text_of(value: Any) -> Any:
    """Bytes as the text that they are; what is none stays as it is."""
    try:
        return value.decode()
    except (AttributeError, UnicodeDecodeError):
        return value


def parquet_length(path: Path) -> int:
    """How many rows a Parquet file says it has.

    Raises:
        InputError: no such file, or not readable as Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error


def columns_named(path: Path, names: Mapping[str, tuple[str, ...]]) -> Choose:
    """Columns by any of several names.

    Args:
        path: of the file, for messages.
        names: for each of our names, what the column may be called; a name whose last choice is empty may be missing.
    """

    def choose(have: Sequence[str]) -> dict[str, str]:
        chosen: dict[str, str] = {}
        for ours, choices in names.items():
            column = next((choice for choice in choices if choice in have), None)
            if column is not None:
                chosen[ours] = column
            elif "" not in choices:
                raise InputError(f"{path}: no column {' or '.join(choices)}; the columns are: {', '.join(have)}")
        return chosen

    return choose
