"""The queries on which two regimes differ most, with the top hits of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.measuring.per_query import POOL
from isoglot.studies.report.study_facts import StudyReport

SHOWN = 5  # hits of each regime
CUT = 300  # characters of a passage


class RankedText(NamedTuple):
    """A candidate in a ranking."""

    lang: str
    text: str
    relevant: bool


class Example(NamedTuple):
    """One query, and the top hits of two regimes with their pooled average precision."""

    lang: str
    query: str
    regimes: tuple[str, str]
    scores: tuple[float, float]
    hits: tuple[list[RankedText], list[RankedText]]


def examples(study: StudyReport, regime: str, other: str, *, each: int = 3) -> list[Example]:
    """Queries with the largest gains, then those with the largest losses, of one regime against another.

    Gains and losses each show at most one language version of a question group, so that neither is a single question
    in all languages.

    Args:
        study: the study; without saved hits of both regimes the list is empty.
        regime: the regime to compare, with its first seed.
        other: the regime to compare it with, likewise.
        each: number of gains, and of losses.
    """
    if study.benchmark is None or regime not in study.top or other not in study.top:
        return []
    benchmark = study.benchmark
    after, before = (_first(study, benchmark, name) for name in (regime, other))
    change = after - before
    order = np.argsort(-np.nan_to_num(change), kind="stable")
    found = []
    for sign, ranked in ((1, order), (-1, order[::-1])):
        groups: set[int] = set()
        for query in ranked:
            group = int(benchmark.group[query])
            if len(groups) == each or not change[query] * sign > 0:
                break
            if group in groups:
                continue
            groups.add(group)
            found.append(
                _example(study, benchmark, int(query), (regime, other), (float(after[query]), float(before[query])))
            )
    return found


def _first(study: StudyReport, benchmark: Benchmark, regime: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Pooled average precision of every query in the benchmark's order, float64 (Q,), for the regime's first seed."""
    evaluation = next(result for name, _, result in study.runs if name == regime)
    values = evaluation.values[POOL, "map"]
    row = {name: index for index, name in enumerate(evaluation.groups)}
    column = {cell[0]: index for index, cell in enumerate(values.cells)}
    rows = np.array([row[benchmark.groups[group]] for group in benchmark.group])
    columns = np.array([column[benchmark.languages[code]] for code in benchmark.queries.lang])
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = values.matrix[rows, columns]
    return found


def _example(
    study: StudyReport, benchmark: Benchmark, query: int, regimes: tuple[str, str], scores: tuple[float, float]
) -> Example:
    relevant = set(benchmark.relevant(query).tolist())
    first, second = (
        [
            RankedText(
                benchmark.languages[benchmark.candidates.lang[place]],
                _cut(benchmark.candidates.texts[place]),
                int(place) in relevant,
            )
            for place in study.top[name][query][:SHOWN]
        ]
        for name in regimes
    )
    lang = benchmark.languages[benchmark.queries.lang[query]]
    return Example(lang, _cut(benchmark.queries.texts[query]), regimes, scores, (first, second))


def _cut(text: str) -> str:
    return text if len(text) <= CUT else f"{text[:CUT].rstrip()}…"
