"""The input of a report: the runs of a study, their levels, and the differences between them."""

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
from isoglot.measuring.comparing import (
    HEADLINE,
    IN_RANKS,
    LOWER_IS_BETTER,
    NEITHER_IS_BETTER,
    Comparison,
    Stack,
    macro_interval,
    stacked,
)
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
    """The input of a report: a study (see `isoglot.studies.run`), or runs that were evaluated separately.

    Attributes:
        benchmark: the benchmark; if None, only figures are known, and no texts or hits are shown.
        runs: (regime, seed, evaluation) of each; first the untrained model (or the reference run), with seed None.
        comparisons: differences between regimes.
        settings: of the training; empty if the runs are not a study.
        trained_languages, groups, rows: of the training rows.
        overlap: training texts that also occur in the benchmark.
        seeds: of the training.
        resamples: of the bootstrap.
        top: by regime, positions of the best candidates of every query in the pool, integers (queries, k), for the
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
        """The stacked seeds of each regime, the untrained model first."""
        return stacked([(regime, evaluation) for regime, _, evaluation in self.runs])

    @property
    def is_study(self) -> bool:
        """Whether the runs are a study: trained from one base model and evaluated together."""
        return bool(self.settings)

    @property
    def origin(self) -> str:
        """The first regime, which the others are compared with, in words."""
        return "the untouched model" if self.is_study else self.regimes[0]

    @property
    def measured_on(self) -> Evaluation:
        """The first run's evaluation, for what all runs share: benchmark, languages, groups, candidates and notes."""
        return self.runs[0][2]

    @property
    def regimes(self) -> list[str]:
        """Regimes in the order of the study, the untrained model first."""
        return [stack.regime for stack in self.stacks]

    @property
    def references(self) -> list[str]:
        """The regimes that others are compared with: the untrained model, then the two pure regimes."""
        return [self.regimes[0], *(name for name in (MONO_ONLY, CROSS_ONLY) if name in self.regimes[1:])]

    def against(self, other: str) -> list[str]:
        """Regimes to compare with reference `other`: all but the references up to it."""
        return [name for name in self.regimes[1:] if name not in self.references[: self.references.index(other) + 1]]

    @cached_property
    def levels(self) -> dict[tuple[str, str], Interval]:
        """Macro means with intervals by (regime, headline measure); keys are missing where nothing was measured."""
        found = {}
        for stack in self.stacks:
            for setting, measure in HEADLINE:
                value = macro_interval(stack, (setting, measure), resamples=self.resamples)
                if value is not None:
                    found[stack.regime, f"{setting}.{measure}"] = value
        return found

    def difference(self, regime: str, other: str, measure: str, part: str = "all") -> Comparison | None:
        """The comparison regime - other for one slice, reversed if it was made the other way round; None if absent."""
        for found in self.comparisons:
            if (found.measure, found.slice) != (measure, part):
                continue
            if (found.a, found.b) == (regime, other):
                return found
            if (found.a, found.b) == (other, regime):
                return replace(found, a=regime, b=other, difference=-found.difference, low=-found.high, high=-found.low)
        return None

    def families(self, regime: str, other: str, measure: str) -> list[Comparison]:
        """The comparisons for families with several languages."""
        names = [found.slice for found in self.comparisons if found.slice.startswith("family:")]
        found = [self.difference(regime, other, measure, name) for name in dict.fromkeys(names)]
        return [entry for entry in found if entry is not None]


def in_ranks(measure: str) -> bool:
    """Whether a measure such as `multilingual.rank_distance` is in ranks (the others are shares)."""
    return measure.rpartition(".")[2] in IN_RANKS


def unit(measure: str) -> float:
    """How many ranks or points a difference of 1 is; normalised Max@R, from 0 to 100, is in points already."""
    return 1.0 if in_ranks(measure) or measure.endswith("max@r_normalised") else 100.0


def has_direction(measure: str) -> bool:
    """Whether higher, or lower, values of a measure (given with its setting) are better."""
    return measure not in NEITHER_IS_BETTER


def lower_is_better(measure: str) -> bool:
    """Whether lower values of a measure (given with or without its setting) are better."""
    return measure.rpartition(".")[2] in LOWER_IS_BETTER


def detectable(found: Comparison) -> float:
    """Smallest true difference that a comparison like this one detects with probability .8.

    The standard error is estimated from the 95 % interval, which is 2 x 1.96 of them wide.
    """
    return minimal_detectable((found.high - found.low) / (2 * 1.96))
