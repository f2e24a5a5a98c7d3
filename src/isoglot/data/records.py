"""Read records from files in third-party layouts (JSONL, CSV, TSV, all also gzipped, and Parquet) with line numbers."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import readable
from isoglot.core.problems import Problems
from isoglot.data.csv_rows import separated_rows
from isoglot.data.parquet_rows import parquet_rows
from isoglot.data.text_streams import as_utf8, text_stream


class Record(NamedTuple):
    """The 1-based line (Parquet: row) of a record, for messages; its place; and its fields, a dict.

    The place is what the line would be if no field held a line break; parallel files are matched by it.
    """

    line: int
    place: int
    fields: Any


def read_records(path: Path, problems: Problems, *, header: bool = True) -> Iterator[Record]:
    """Stream the records of a file.

    Args:
        path: the extension, in any case, decides the format: `.csv`, `.tsv`, `.parquet`, anything else is JSONL; all
            but Parquet may also end in `.gz`. CSV and TSV may have any dialect (see `separated_rows`) and encoding.
        problems: collects lines that cannot be read, and warnings about guessed encodings.
        header: whether the first line of CSV and TSV names the columns; otherwise they are called 1, 2, 3, …

    Raises:
        InputError: the file does not exist, or is unreadable as a whole.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _numbered(parquet_rows(path))
    ending = Path(name.removesuffix(".gz")).suffix
    if ending in (".csv", ".tsv"):
        return _separated(path, problems, tabs=ending == ".tsv", header=header)
    return _numbered(jsonl_records(path, problems))


def _numbered(records: Iterator[tuple[int, Any]]) -> Iterator[Record]:
    return (Record(number, number, fields) for number, fields in records)


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Stream the non-empty lines of a file with their 1-based numbers; names that end in .gz are decompressed.

    UTF-16 and UTF-32 are converted to UTF-8 (see `as_utf8`); a byte order mark (BOM) is removed.

    Raises:
        InputError: the file does not exist, cannot be read, or is a broken gzip file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
    with readable(path), _whole_gzip(path), opener(path, "rb") as stream:
        for number, line in enumerate(as_utf8(stream), 1):
            if line.strip():
                yield number, line


def not_utf8(error: UnicodeDecodeError) -> str:
    """Say what is wrong with a line that is not UTF-8, and what to do."""
    if error.reason == "unexpected end of data" and error.end == len(error.object):  # only the last has no line end
        return f"ends within a character (byte {error.start}); is the file truncated?"
    return f"not UTF-8 (byte {error.start}: {error.reason}); convert the file: iconv -f ITS-ENCODING -t UTF-8"


def jsonl_records(path: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    """Stream the JSON values of a JSONL file with their 1-based line numbers; empty lines are skipped.

    Invalid lines are skipped and added to `problems`.

    Raises:
        InputError: the file does not exist, cannot be read, or is a broken gzip file.
    """
    for number, line in raw_lines(path):
        try:
            yield number, json.loads(line)
        except UnicodeDecodeError as error:
            problems.add(path, number, not_utf8(error))
        except json.JSONDecodeError as error:
            problems.add(path, number, f"not a JSON object ({error.msg.removesuffix(' at')} at column {error.colno})")
        except ValueError as error:  # such as an integer of more than 4300 digits
            problems.add(path, number, f"not a JSON object ({error})")
        except RecursionError:
            problems.add(path, number, "not a row: JSON nested too deeply")


def _separated(path: Path, problems: Problems, *, tabs: bool, header: bool) -> Iterator[Record]:
    with readable(path), _whole_gzip(path), text_stream(path, problems) as (stream, _):
        if stream is None:
            return
        names: list[str] | None = None
        for line, place, values in separated_rows(stream, path, problems, tabs=tabs, header=header):
            if names is None:
                names = values if header else [str(number) for number in range(1, len(values) + 1)]
                twice = [name for name, count in Counter(names).items() if name and count > 1]
                if twice:
                    problems.warn(path, line, f"two columns are called {twice[0]!r}; only the last of them is read")
                if header:
                    continue
            if len(values) != len(names):
                problems.add(path, line, f"{len(values)} columns; the first line has {len(names)}")
            else:
                yield Record(line, place, dict(zip(names, values, strict=True)))


@contextmanager
def _whole_gzip(path: Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: a broken or truncated gzip file ({error}); write it again") from error


def table_rows(
    path: Path, columns: int | tuple[int, ...], problems: Problems, *, separator: str | None = "\t"
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) from a text table without quoting or header.

    Args:
        path: a UTF-8 file, gzipped if the name ends in .gz.
        columns: the expected number of columns, or several allowed numbers.
        problems: collects malformed lines (not UTF-8, another number of columns), which are skipped.
        separator: None splits at any white space (as trec_eval does).

    Raises:
        InputError: the file does not exist, cannot be read, or is a broken gzip file.
    """
    allowed = (columns,) if isinstance(columns, int) else columns
    for number, line in raw_lines(path):
        try:
            fields = line.decode("utf-8").rstrip("\r\n").split(separator)
        except UnicodeDecodeError as error:
            problems.add(path, number, not_utf8(error))
            continue
        if len(fields) in allowed:
            yield number, fields
        else:
            parted = "tab-separated columns" if separator else "columns"
            problems.add(path, number, f"{len(fields)} {parted}; expected {' or '.join(map(str, allowed))}")
