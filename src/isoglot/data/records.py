"""Records of other people's files: JSONL (also gzipped), CSV, TSV and Parquet, each with its line."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.parquet_rows import parquet_rows


def read_records(path: Path, problems: Problems, *, header: bool = True) -> Iterator[tuple[int, Any]]:
    """Stream the records of a file as dicts, each with its 1-based line (Parquet: row) number.

    Args:
        path: read by its ending: `.csv`, `.tsv`, `.parquet`, anything else as JSONL; all but Parquet also with `.gz`.
        problems: gathers lines that cannot be read.
        header: whether the first line of CSV and TSV names the columns; otherwise they are called 1, 2, 3, …

    Raises:
        InputError: no such file, or one that is broken as a whole.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending == ".parquet":
        return parquet_rows(path)
    if ending in (".csv", ".tsv"):
        return _separated(path, problems, "\t" if ending == ".tsv" else ",", header)
    return jsonl_records(path, problems)


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Stream the lines of a file with their numbers, gunzipped where its name ends in .gz; empty ones are passed over.

    Raises:
        InputError: no such file, or a broken gzip file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: a broken or truncated gzip file ({error}); write it again") from error


def jsonl_records(path: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    """Stream the JSON values of a JSONL file; empty lines are passed over.

    Raises:
        InputError: no such file, or a broken gzip file.
    """
    for number, line in raw_lines(path):
        try:
            yield number, json.loads(line)
        except UnicodeDecodeError as error:
            problems.add(path, number, f"not UTF-8 (byte {error.start}: {error.reason})")
        except json.JSONDecodeError as error:
            problems.add(path, number, f"not a JSON object ({error.msg.removesuffix(' at')} at column {error.colno})")
        except ValueError as error:  # such as a number of over 4300 digits
            problems.add(path, number, f"not a JSON object ({error})")
        except RecursionError:
            problems.add(path, number, "not a row: JSON nested too deeply")


def tsv_lines(path: Path, problems: Problems, columns: tuple[int, ...]) -> Iterator[tuple[int, list[str]]]:
    """Stream tab-separated lines without quoting or header, as MS MARCO writes them.

    Args:
        path: also gzipped.
        problems: gathers lines that are not UTF-8 or have another number of columns.
        columns: allowed numbers of columns; four may be separated by spaces (TREC qrels).

    Raises:
        InputError: no such file, or a broken gzip file.
    """
    for number, line in raw_lines(path):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            problems.add(path, number, f"not UTF-8 (byte {error.start}: {error.reason})")
            continue
        if not text.strip():
            continue
        parts = text.split("\t")
        if len(parts) == 1 and 4 in columns:
            parts = text.split()
        if len(parts) in columns:
            yield number, parts
        else:
            wanted = " or ".join(map(str, columns))
            problems.add(path, number, f"{len(parts)} tab-separated columns; expected {wanted}")


def _separated(path: Path, problems: Problems, separator: str, header: bool) -> Iterator[tuple[int, dict[str, str]]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    # A quotation mark encloses a field of CSV; in TSV it is a character like any other.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
    with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator, quoting=quoting, strict=True)
        names: list[str] | None = None
        try:
            for values in reader:
                if not values:
                    continue
                if names is None:
                    names = values if header else [str(number) for number in range(1, len(values) + 1)]
                    if header:
                        continue
                if len(values) != len(names):
                    problems.add(path, reader.line_num, f"{len(values)} columns; the first line has {len(names)}")
                else:
                    yield reader.line_num, dict(zip(names, values, strict=True))
        except csv.Error as error:
            problems.add(path, reader.line_num, f"not readable as CSV ({error}); the rest of the file was not read")
        except UnicodeDecodeError as error:
            problems.add(path, reader.line_num + 1, f"not UTF-8 ({error.reason}); the rest of the file was not read")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{path}: a broken or truncated gzip file ({error}); write it again") from error


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
