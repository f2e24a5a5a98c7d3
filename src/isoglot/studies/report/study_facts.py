"""What a report is written from: the runs of a study, their levels, and the differences between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.overlap import Overlap
from isoglot.measuring.bootstrap import Interval, minimal_detectable
from isoglot.measuring.comparing import HEADLINE, IN_RANKS, LOWER_IS_BETTER, Comparison, Stack, macro_interval, stacked
from isoglot.measuring.evaluation import Evaluation

MONO_ONLY, CROSS_ONLY = "x-x-mono", "x-y"
TITLES = {
    "monolingual.map": "mono mAP",
    "cross_lingual.map": "cross mAP",
    "multilingual.map": "pool mAP",
    "multilingual.rank_distance": "rank distance",
}


@dataclass(frozen=True, eq=False)
class StudyReport:
    """What a report is written from: a study (see `isoglot.studies.run`), or runs that were measured one by one.

    Attributes:
        benchmark: what was measured on; None where only figures are at hand, then no texts and hits are shown.
        runs: (regime, seed, evaluation) each; the untouched model (of runs: the reference) first, with seed None.
        comparisons: differences between regimes.
        settings: of the training; empty where the runs are no study.
        trained_languages, groups, rows: of the training rows.
        overlap: training texts that stand in the benchmark.
        seeds: of the training.
        resamples: of the bootstrap.
        top: by regime, positions of the best candidates of every query in the pool, integers (queries, k), of the
            regime's first seed.
    """

    benchmark: Benchmark | None
    runs: Sequence[tuple[str, int | None, Evaluation]]
    comparisons: Sequence[Comparison]
    settings: dict[str, Any] = field(default_factory=dict)
    trained_languages: tuple[str, ...] = ()
    groups: int = 0
    rows: int = 0
    overlap: Overlap | None = None
    seeds: tuple[int, ...] = ()
    resamples: int = 10_000
    top: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    @cached_property
    def stacks(self) -> list[Stack]:
        """The seeds of each regime together, the untouched model first."""
        return stacked([(regime, evaluation) for regime, _, evaluation in self.runs])

    @property
    def is_study(self) -> bool:
        """Whether the runs were trained and measured together, from one untouched model."""
        return bool(self.settings)

    @property
    def origin(self) -> str:
        """What all others are held against, in words."""
        return "the untouched model" if self.is_study else self.regimes[0]

    @property
    def measured_on(self) -> Evaluation:
        """The first run's evaluation, which says what all were measured on."""
        return self.runs[0][2]

    @property
    def regimes(self) -> list[str]:
        """Regimes in the order of the study, the untouched model first."""
        return [stack.regime for stack in self.stacks]

    @property
    def references(self) -> list[str]:
        """Regimes that every other one is held against: the untouched model, then the two pure regimes."""
        return [self.regimes[0], *(name for name in (MONO_ONLY, CROSS_ONLY) if name in self.regimes[1:])]

    def against(self, other: str) -> list[str]:
        """Regimes that are compared to a reference: the trained ones, less the references named before it."""
        return [name for name in self.regimes[1:] if name not in self.references[: self.references.index(other) + 1]]

    @cached_property
    def levels(self) -> dict[tuple[str, str], Interval]:
        """Macro means of every regime on the headline measures, with intervals; absent where nothing was measured."""
        found = {}
        for stack in self.stacks:
            for setting, measure in HEADLINE:
                value = macro_interval(stack, (setting, measure), resamples=self.resamples)
                if value is not None:
                    found[stack.regime, f"{setting}.{measure}"] = value
        return found

    def difference(self, regime: str, other: str, measure: str, part: str = "all") -> Comparison | None:
        """The comparison regime - other of one slice, turned round where it was made the other way."""
        for found in self.comparisons:
            if (found.measure, found.slice) != (measure, part):
                continue
            if (found.a, found.b) == (regime, other):
                return found
            if (found.a, found.b) == (other, regime):
                return replace(found, a=regime, b=other, difference=-found.difference, low=-found.high, high=-found.low)
        return None

    def families(self, regime: str, other: str, measure: str) -> list[Comparison]:
        """The comparisons of families with several languages."""
        names = [found.slice for found in self.comparisons if found.slice.startswith("family:")]
        found = [self.difference(regime, other, measure, name) for name in dict.fromkeys(names)]
        return [entry for entry in found if entry is not None]


def in_ranks(measure: str) -> bool:
    """Whether a measure such as `multilingual.rank_distance` counts ranks (the others are shares)."""
    return measure.rpartition(".")[2] in IN_RANKS


def lower_is_better(measure: str) -> bool:
    """Whether a measure, with or without its setting, is good when it is small."""
    return measure.rpartition(".")[2] in LOWER_IS_BETTER


def detectable(found: Comparison) -> float:
    """Smallest true difference that a comparison like this one finds with probability .8.

    The standard error is read off the width of its 95 % interval (2 x 1.96 of them).
    """
    return minimal_detectable((found.high - found.low) / (2 * 1.96))
