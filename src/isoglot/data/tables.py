"""Tables of known columns: lines split at tabs or white space, and Parquet whose columns go by several names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isoglot.data.problems import Problems
from isoglot.data.records import raw_lines
from isoglot.errors import InputError


def table_rows(
    path: Path, columns: int, problems: Problems, *, separator: str | None = "\t"
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of a text table; lines of another number of columns are problems.

    Args:
        path: UTF-8, gzipped where the name ends in .gz.
        columns: how many are expected.
        problems: gathers malformed lines, which are skipped.
        separator: None splits at any white space (as trec_eval does).
    """
    for number, line in raw_lines(path):
        try:
            fields = line.decode("utf-8").rstrip("\r\n").split(separator)
        except UnicodeDecodeError as error:
            problems.add(path, number, f"not UTF-8 (byte {error.start})")
            continue
        if len(fields) != columns:
            problems.add(path, number, f"{len(fields)} columns; expected {columns}")
        else:
            yield number, fields


def parquet_records(path: Path, names: dict[str, tuple[str, ...]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, record) of a Parquet file, columns under our names.

    Args:
        path: the file.
        names: for each of our names, what the column may be called; a name whose last choice is empty may be missing.

    Raises:
        InputError: no such file, not Parquet, or a column missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            have = file.schema_arrow.names
            chosen: dict[str, str] = {}
            for ours, choices in names.items():
                column = next((choice for choice in choices if choice in have), None)
                if column is not None:
                    chosen[ours] = column
                elif "" not in choices:
                    raise InputError(f"{path}: no column {' or '.join(choices)}; the columns are: {', '.join(have)}")
            number = 0
            for batch in file.iter_batches(batch_size=8192, columns=list(chosen.values())):
                for record in batch.to_pylist():
                    number += 1
                    yield number, {ours: record[column] for ours, column in chosen.items()}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({error})") from error
