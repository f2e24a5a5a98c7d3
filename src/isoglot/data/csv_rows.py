"""Read the rows of CSV and TSV, in the dialects that spreadsheets and programs write."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.core.problems import Problems

_SEPARATORS = (",", ";", "\t", "|")
_QUOTED = re.compile(r'"[^"\t]*"(?:\t"[^"\t]*")*\r?\n?')
_SAID = re.compile(r"sep=([^\w\s\"]|\t)\r?\n?")


class SeparatedRow(NamedTuple):
    """The 1-based line in which a row ends; its 1-based place among all rows, empty ones included; and its fields.

    The place equals the line unless a field up to there holds a line break; parallel tables are matched by it.
    """

    line: int
    place: int
    values: list[str]


def separated_rows(
    stream: Any, path: Path, problems: Problems, *, tabs: bool, header: bool = True
) -> Iterator[SeparatedRow]:
    """Stream the non-empty rows of a table.

    In CSV the separator is the one of comma, semicolon, tab and bar that splits the first line into most columns, or
    the one that a line `sep=` names. Without a header a comma in the first line wins, since texts contain the others
    too. In TSV a quotation mark is an ordinary character, unless quotation marks enclose all column names, or a field
    in which they are doubled.

    Args:
        stream: a text stream with unchanged line ends.
        path: the file that problems name.
        problems: collects lines that are not valid CSV; reading continues after them.
        tabs: whether the table is TSV.
        header: whether the first line names the columns.
    """
    first = stream.readline()
    if tabs and not (header and _QUOTED.fullmatch(first)):
        for number, line in enumerate(_with(first, stream), 1):
            fields = line.rstrip("\r\n").split("\t")
            if any(fields):
                yield SeparatedRow(number, number, [_unquoted(field) for field in fields])
        return
    csv.field_size_limit(2**31 - 1)
    said, before = _SAID.fullmatch(first), 0
    if said:  # spreadsheets may name the separator in a line before the header
        first, before = stream.readline(), 1
    delimiter = said[1] if said else max("\t" if tabs else _SEPARATORS, key=lambda sign: _columns(first, sign))
    if not header and not said and _columns(first, ",") > 1:
        delimiter = ","
    # If a blank follows every separator in the header, blanks also come before opening quotation marks.
    blanks = header and first.count(delimiter) == first.count(f"{delimiter} ") > 0
    reader = csv.reader(_with(first, stream), delimiter=delimiter, strict=True, skipinitialspace=blanks)
    place = before
    while True:
        begun = before + reader.line_num + 1
        place += 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            ended = before + reader.line_num
            lines = f"lines {begun} to {ended}" if ended > begun else "the line"
            problems.add(path, begun, f"not readable as CSV ({error}); {lines} skipped")
            continue
        if any(values):
            yield SeparatedRow(before + reader.line_num, place, values)


def _with(first: str, stream: Any) -> Iterator[str]:
    yield first
    yield from stream


def _columns(line: str, separator: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=separator), []))
    except csv.Error:
        return 0


def _unquoted(field: str) -> str:
    """Unquote a field that encloses doubled quotation marks, as spreadsheets write it; return others unchanged."""
    inner = field[1:-1]
    if len(field) > 3 and field[0] == field[-1] == '"' and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field
