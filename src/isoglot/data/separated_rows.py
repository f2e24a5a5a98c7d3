"""Rows of CSV and TSV, in the dialects that spreadsheets and programs write."""

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
    """The line (1-based) that a row ends in, its place among the rows with the empty ones, and its fields.

    The place is the line as long as no field before it holds a line break: tables that run parallel match by it.
    """

    line: int
    place: int
    values: list[str]


def separated_rows(
    stream: Any, path: Path, problems: Problems, *, tabs: bool, header: bool = True
) -> Iterator[SeparatedRow]:
    """Stream the rows of a table; empty ones are passed over.

    In CSV the separator is what parts the names of columns best: a comma, a semicolon, a tab or a bar; without such
    names it is the comma where there is one, since texts hold the others, too. In TSV a quotation mark is a character
    like any other, unless it encloses all names of columns, or a field whose own quotation marks are doubled.

    Args:
        stream: of text, with line ends as they are.
        path: that problems name.
        problems: told of lines that are no CSV; the reading goes on after them.
        tabs: whether it is TSV.
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
    if said:  # spreadsheets name the separator before everything else
        first, before = stream.readline(), 1
    delimiter = said[1] if said else max("\t" if tabs else _SEPARATORS, key=lambda sign: _columns(first, sign))
    if not header and not said and _columns(first, ",") > 1:
        delimiter = ","
    # Blanks before all names stand before quotation marks, too.
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
            problems.add(path, begun, f"not readable as CSV ({error}); {lines} passed over")
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
    """A field without quotation marks around it, where those within are doubled, as spreadsheets write them."""
    inner = field[1:-1]
    if len(field) > 3 and field[0] == field[-1] == '"' and '""' in inner and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field
