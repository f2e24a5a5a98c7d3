"""Plans: for each kind of batch, the strata (a data set and its languages) that can fill one, with draw weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.data.row_table import RowTable
from isoglot.training.sampling.walks import Stream

Stratum = tuple[int, int, int]  # data set, query language, passage language (-1: mixed)


class Plan:
    """The plan for one kind of batch: the strata that can fill one, their weights, and how to walk through each."""

    def __init__(
        self,
        kind: str,
        strata: list[Stratum],
        sizes: list[int],
        table: RowTable,
        resolve: Callable[[Stratum, tuple[int, ...]], Stream],
        *,
        dataset_exponent: float,
        language_exponent: float,
    ) -> None:
        self.kind = kind
        self.strata = tuple(strata)
        self.stream = resolve
        rows = np.bincount(np.asarray(table.dataset), minlength=len(table.datasets)).astype(np.float64)
        self._strata: list[list[Stratum]] = []
        self._weights: list[NDArray[np.float64]] = []
        own_rows: list[float] = []
        for dataset in range(len(table.datasets)):
            own = [index for index, stratum in enumerate(strata) if stratum[0] == dataset]
            if own:
                self._strata.append([strata[index] for index in own])
                weights = _powers([float(sizes[index]) for index in own], language_exponent, "language_exponent")
                self._weights.append(np.cumsum(weights / weights.sum()))
                own_rows.append(rows[dataset])
        dataset_weights = _powers(own_rows, dataset_exponent, "dataset_exponent")
        self._dataset_weights = np.cumsum(dataset_weights / sum(dataset_weights))

    def draw(self, rng: np.random.Generator) -> Stratum:
        """Draw a data set, then one of its strata."""
        dataset = _pick(self._dataset_weights, rng)
        return self._strata[dataset][_pick(self._weights[dataset], rng)]


class Plans(NamedTuple):
    """The plan of monolingual batches and the plan of all others; the same plan if a regime has only one kind."""

    mono: Plan
    other: Plan

    @classmethod
    def of(cls, plan: Plan) -> Plans:
        """Return the plans of a regime with one kind of batch."""
        return cls(plan, plan)


def _powers(sizes: list[float], exponent: float, name: str) -> NDArray[np.float64]:
    """Return sizes ** exponent as draw weights (not normalised).

    Raises:
        InputError: the sum overflows float64, or is 0.
    """
    with np.errstate(over="ignore"):
        weights: NDArray[np.float64] = np.array(sizes) ** exponent
    if not 0 < weights.sum() < np.inf:
        raise InputError(
            f"{name} {exponent:g}: too far from 0 for sizes up to {max(sizes):,.0f}; give a value nearer to 0"
        )
    return weights


def _pick(cumulative: NDArray[np.float64], rng: np.random.Generator) -> int:
    return min(int(np.searchsorted(cumulative, rng.random(), side="right")), len(cumulative) - 1)
