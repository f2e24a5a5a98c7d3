"""Relevance judgements in the two layouts that the field shares: BEIR's three columns and TREC's four."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isoglot.core.problems import Problems
from isoglot.data.records import raw_lines


def judgements(path: Path, problems: Problems) -> Iterator[tuple[int, str, str, float]]:
    """Yield (line number, query id, passage id, grade) of each judgement of a file.

    Args:
        path: lines of query, passage and grade between tabs (BEIR, with or without a header), or of query, iteration,
            passage and grade between any white space (TREC); gzipped where the name ends in .gz.
        problems: gathers malformed lines, which are skipped.

    Raises:
        InputError: no such file, or a broken gzip file.
    """
    first = True
    for number, line in raw_lines(path):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            problems.add(path, number, f"not UTF-8 (byte {error.start})")
            continue
        fields = text.split("\t")
        if len(fields) != 3:
            fields = text.split()
        header, first = first, False
        if len(fields) not in (3, 4):
            problems.add(path, number, f"{len(fields)} columns; expected 3 (query, passage, score) or TREC's 4")
            continue
        grade = grade_of(fields[-1])
        if grade is not None:
            yield number, fields[0], fields[-2], grade
        elif not header:
            problems.add(path, number, f"score {fields[-1]!r} is not a number")


def grade_of(value: Any) -> float | None:
    """The finite number that a grade is written as; None where it is none.

    >>> grade_of("2"), grade_of("nan"), grade_of(None)
    (2.0, None, None)
    """
    try:
        grade = float(value)
    except (TypeError, ValueError):
        return None
    return grade if math.isfinite(grade) else None
