"""Read the rows of Parquet files as dicts, with columns renamed as the caller wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError

Choose = Callable[[Sequence[str]], Mapping[str, str]]
"""Maps the column names of a file to the columns to read: our name -> the file's name."""


def parquet_rows(path: Path, choose: Choose | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Stream the rows of a Parquet file with their 1-based numbers; memory holds a few thousand rows.

    Args:
        path: the file.
        choose: selects and renames columns, or raises InputError; if None, all columns keep their names.

    Raises:
        InputError: the file does not exist or is not readable as Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chosen = {name: name for name in names} if choose is None else choose(names)
            # Some programs write strings as plain binary columns, without the string annotation.
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
    """Decode bytes as UTF-8; return anything else unchanged."""
    try:
        return value.decode()
    except (AttributeError, UnicodeDecodeError):
        return value


def parquet_length(path: Path) -> int:
    """Return the number of rows according to a Parquet file's metadata.

    Raises:
        InputError: the file does not exist or is not readable as Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error


def columns_named(path: Path, names: Mapping[str, tuple[str, ...]]) -> Choose:
    """Return a `Choose` that finds each column under any of several names.

    Args:
        path: the file, for messages.
        names: our name -> the names that the column may have; an empty name among them makes the column optional.
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
