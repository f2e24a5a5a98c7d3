"""Read relevance judgements (qrels) in the two common layouts: BEIR's three columns and TREC's four."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from isoglot.core.problems import Problems
from isoglot.data.records import raw_lines

# Scores that are never column names: with any other text instead of a score, the first line is a header.
_NO_NAMES = ("nan", "inf", "-inf", "true", "false", "none", "null")


def judgements(path: Path, problems: Problems) -> Iterator[tuple[int, str, str, float]]:
    """Yield (line number, query id, passage id, grade) of each judgement in a file.

    Args:
        path: lines with tab-separated query, passage and grade (BEIR, with or without a header), or with query,
            iteration, passage and grade separated by any white space (TREC); gzipped if the name ends in .gz.
        problems: collects malformed lines, which are skipped, and passages judged twice with different grades.

    Raises:
        InputError: the file does not exist or is a broken gzip file.
    """
    return unambiguous(_lines(path, problems), path, problems)


def unambiguous(
    found: Iterable[tuple[int, str, str, float]], path: Path, problems: Problems
) -> Iterator[tuple[int, str, str, float]]:
    """Pass judgements through; a second, different grade of the same passage is a problem, as in trec_eval."""
    grades: dict[tuple[str, str], float] = {}
    for number, query, passage, grade in found:
        before = grades.setdefault((query, passage), grade)
        if before != grade:
            problems.add(
                path, number, f"query {query!r} judges passage {passage!r} again, with {grade:g} instead of {before:g}"
            )
        else:
            yield number, query, passage, grade


def _lines(path: Path, problems: Problems) -> Iterator[tuple[int, str, str, float]]:
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
        elif not header or fields[-1].lower() in _NO_NAMES:
            problems.add(path, number, f"score {fields[-1]!r} is not a number")


def grade_of(value: Any) -> float | None:
    """Convert a grade to a finite number; None if it is not one.

    >>> grade_of("2"), grade_of("nan"), grade_of(None)
    (2.0, None, None)
    """
    try:
        grade = float(value)
    except (TypeError, ValueError):
        return None
    return grade if math.isfinite(grade) else None
