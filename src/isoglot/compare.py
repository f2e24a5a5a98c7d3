"""Differences between runs with paired intervals: overall, per language and per family."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import InputError
from isoglot.evaluate import CROSS, MONO, POOL, Evaluation
from isoglot.languages import by_family
from isoglot.stats import Interval, holm, interval, paired_difference

Floats = NDArray[np.float64]

HEADLINE = ((MONO, "map"), (CROSS, "map"), (POOL, "map"), (POOL, "rank_distance"))
LOWER_IS_BETTER = frozenset({"rank_distance", "max@r"})


@dataclass(frozen=True)
class Comparison:
    """Run a minus run b.

    Attributes:
        a, b: regimes.
        measure: `monolingual.map` and so on.
        slice: `all`, a language code, or `family:NAME`.
        difference, low, high: estimate and 95 % interval.
        p: two-sided, adjusted by Holm's method within each (a, b, measure)'s languages, raw for `all`.
        groups: how many question groups it rests on.
    """

    a: str
    b: str
    measure: str
    slice: str
    difference: float
    low: float
    high: float
    p: float | None
    groups: int

    @property
    def significant(self) -> bool:
        """Whether p is under 0.05 (for a language: after Holm's correction)."""
        return self.p is not None and self.p < 0.05


class Stack(NamedTuple):
    """All seeds of one regime: (seeds, groups, cells) matrices by (setting, measure)."""

    regime: str
    languages: tuple[str, ...]
    groups: list[str]
    cells: dict[tuple[str, str], tuple[tuple[str, str], ...]]
    matrices: dict[tuple[str, str], Floats]

    def part(self, key: tuple[str, str], langs: set[str]) -> Floats:
        """Cells whose query language is among `langs`, (seeds, groups, cells)."""
        keep = [index for index, cell in enumerate(self.cells[key]) if cell[0] in langs]
        return self.matrices[key][:, :, keep]


def stacked(runs: list[tuple[str, Evaluation]]) -> list[Stack]:
    """Put the seeds of each regime together, regimes in order of appearance.

    Raises:
        InputError: runs on different benchmarks or languages.
    """
    regimes: dict[str, list[Evaluation]] = {}
    for regime, evaluation in runs:
        regimes.setdefault(regime, []).append(evaluation)
    first = runs[0][1]
    for regime, evaluation in runs:
        if (evaluation.benchmark, evaluation.languages, evaluation.groups) != (
            first.benchmark,
            first.languages,
            first.groups,
        ):
            raise InputError(
                f"{regime}: measured on {evaluation.benchmark} {','.join(evaluation.languages)}, but {runs[0][0]} on "
                f"{first.benchmark} {','.join(first.languages)}; compare runs on the same queries"
            )
    return [
        Stack(
            regime,
            first.languages,
            first.groups,
            {key: values.cells for key, values in seeds[0].values.items()},
            {key: np.stack([seed.values[key].matrix for seed in seeds]) for key in seeds[0].values},
        )
        for regime, seeds in regimes.items()
    ]


def level(stack: Stack, key: tuple[str, str], *, resamples: int) -> Interval | None:
    """Macro mean of one regime with its interval; None where the setting has no query."""
    matrix = stack.matrices[key]
    return None if np.isnan(matrix).all() else interval(matrix, resamples=resamples)


def compare(stacks: list[Stack], *, resamples: int = 10_000) -> list[Comparison]:
    """Every later regime against every earlier one, on the headline measures.

    Per language and per family for all measures, with Holm's correction over the languages of one comparison.
    """
    found: list[Comparison] = []
    for index, later in enumerate(stacks):
        for earlier in stacks[:index]:
            for key in HEADLINE:
                found += _slices(later, earlier, key, resamples)
    return found


def _slices(a: Stack, b: Stack, key: tuple[str, str], resamples: int) -> list[Comparison]:
    families = by_family(a.languages)
    slices = [("all", set(a.languages))]
    slices += [(lang, {lang}) for lang in a.languages]
    slices += [(f"family:{name}", set(codes)) for name, codes in families.items() if len(codes) > 1]
    found: list[Comparison] = []
    for name, langs in slices:
        x, y = a.part(key, langs), b.part(key, langs)
        if not x.size or np.isnan(x).all() or np.isnan(y).all():
            continue
        result = paired_difference(x, y, resamples=resamples)
        found.append(
            Comparison(
                a.regime,
                b.regime,
                f"{key[0]}.{key[1]}",
                name,
                result.estimate,
                result.low,
                result.high,
                result.p,
                result.groups,
            )
        )
    own = [index for index, entry in enumerate(found) if entry.slice in a.languages]
    adjusted = holm([found[index].p or 0.0 for index in own])
    for index, p in zip(own, adjusted, strict=True):
        found[index] = replace(found[index], p=float(p))
    return found
