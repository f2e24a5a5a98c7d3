"""The data behind each chart of a report, shared by the HTML page and the image files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.measuring.bootstrap import Interval
from isoglot.measuring.comparing import Stack, macro_interval
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL
from isoglot.measuring.top10 import language_shares
from isoglot.studies.report.study_facts import CROSS_ONLY, MONO_ONLY, TITLES, StudyReport, in_ranks

Floats = NDArray[np.float64]

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


class Matrix(NamedTuple):
    """A heatmap: rows are query languages, columns passage (or deleted) languages; NaN where nothing was measured."""

    regime: str
    values: Floats


class Spread(NamedTuple):
    """Quantiles (.1, .25, .5, .75, .9) of one regime's per-query values, and their mean."""

    regime: str
    quantiles: tuple[float, ...]
    mean: float


class Change(NamedTuple):
    """A regime's changes of mono and pool mAP against the first regime, as (estimate, low, high) in points."""

    regime: str
    mono: tuple[float, float, float]
    pool: tuple[float, float, float]


class OwnShare(NamedTuple):
    """Share of the top 10 in the query's language, macro-averaged over query languages, and its share of the pool."""

    regime: str
    share: float
    pool: float


class Separation(NamedTuple):
    """A regime's change against the first regime on one measure, in points, with its 95 % interval."""

    measure: str
    regime: str
    points: float
    low: float
    high: float
    significant: bool


def separations(study: StudyReport) -> list[Separation]:
    """Change of each regime against the first, by measure, in points of mAP.

    Measures in ranks are left out. Empty with a single regime.
    """
    found = []
    for measure, title in TITLES.items():
        for regime in [] if in_ranks(measure) else study.regimes[1:]:
            one = study.difference(regime, study.regimes[0], measure)
            if one is not None:
                low, high = 100 * one.low, 100 * one.high
                found.append(Separation(title, regime, 100 * one.difference, low, high, one.significant))
    return found


def pair_scores(study: StudyReport) -> list[Matrix]:
    """The mAP of every ordered pair of languages, one matrix per regime (mean over seeds)."""
    return [Matrix(stack.regime, _pairs(stack)) for stack in study.stacks]


def pair_changes(study: StudyReport) -> list[Matrix]:
    """Change of every pair's mAP against the first regime, one matrix for each other regime."""
    base, *others = pair_scores(study)
    return [Matrix(entry.regime, entry.values - base.values) for entry in others]


def pooled(study: StudyReport) -> dict[str, dict[str, Interval]]:
    """Pooled mAP by query language and regime, with intervals."""
    found: dict[str, dict[str, Interval]] = {}
    for code in study.measured_on.languages:
        for stack in study.stacks:
            if (POOL, "map") not in stack.matrices:
                continue
            own = stack._replace(
                cells={(POOL, "map"): tuple(cell for cell in stack.cells[POOL, "map"] if cell[0] == code)},
                matrices={(POOL, "map"): stack.part((POOL, "map"), {code})},
            )
            value = (
                macro_interval(own, (POOL, "map"), resamples=study.resamples)
                if own.matrices[POOL, "map"].size
                else None
            )
            if value is not None:
                found.setdefault(code, {})[stack.regime] = value
    return found


def rank_distances(study: StudyReport) -> list[Spread]:
    """Distribution of rank distance over all queries and seeds, per regime; empty where it was not measured."""
    spreads = []
    for stack in study.stacks:
        values = stack.part((POOL, "rank_distance"), set(stack.languages))
        present = values[~np.isnan(values)]
        if len(present):
            points = tuple(float(value) for value in np.quantile(present, QUANTILES))
            spreads.append(Spread(stack.regime, points, float(present.mean())))
    return spreads


def composition(study: StudyReport) -> list[Matrix]:
    """Share of each candidate language in the top 10 by query language, for regimes with saved hits."""
    if study.benchmark is None:
        return []
    return [Matrix(regime, language_shares(study.benchmark, top)) for regime, top in study.top.items()]


def deletions(study: StudyReport) -> list[Matrix]:
    """Drop in pooled mAP when the answer in each language (columns) is deleted (LAReQA), one matrix per regime.

    Empty if no query has answers in several languages.
    """
    key = (DELETION, "map")
    return [Matrix(stack.regime, _means(stack, key)) for stack in study.stacks if key in stack.matrices]


def own_shares(study: StudyReport) -> list[OwnShare]:
    """Share of the top 10 in the query's language, and that language's share of the pool, per regime."""
    sizes = np.array([study.measured_on.candidates.get(code, 0) for code in study.measured_on.languages])
    found = []
    for regime, values in composition(study):
        asked = ~np.isnan(values).all(axis=1)
        pool = float((sizes / sizes.sum())[asked].mean())
        found.append(OwnShare(regime, float(np.diag(values)[asked].mean()), pool))
    return found


def alpha_curve(study: StudyReport) -> list[tuple[float, str]]:
    """Pairs (alpha, regime) of the hybrid family, sorted; `x-y` has alpha 0, `x-x-mono` alpha 1.

    Empty with fewer than three points or without a hybrid regime.
    """
    points = [(alpha, regime) for regime in study.regimes if (alpha := alpha_of(regime)) is not None]
    hybrids = [regime for _, regime in points if regime.startswith("hybrid-")]
    return sorted(points) if hybrids and len(points) >= 3 else []


def alpha_of(regime: str) -> float | None:
    """Share of monolingual batches of a regime in the hybrid family; None for others, or if the share is scheduled.

    >>> alpha_of("hybrid-0.25"), alpha_of("x-y"), alpha_of("hybrid-linear-0.3-0.9")
    (0.25, 0.0, None)
    """
    if regime.startswith("hybrid-"):
        try:
            return float(regime.removeprefix("hybrid-"))
        except ValueError:
            return None
    return {CROSS_ONLY: 0.0, MONO_ONLY: 1.0}.get(regime)


def trade_off(study: StudyReport) -> list[Change]:
    """Monolingual and pooled change of each regime against the first."""
    found = []
    for regime in study.regimes[1:]:
        pair = [study.difference(regime, study.regimes[0], name) for name in ("monolingual.map", "multilingual.map")]
        if pair[0] is not None and pair[1] is not None:
            mono, pool = ((100 * d.difference, 100 * d.low, 100 * d.high) for d in pair if d is not None)
            found.append(Change(regime, mono, pool))
    return found


def curve_measures(study: StudyReport) -> list[str]:
    """Headline measures available at every point of the alpha curve."""
    return [name for name in TITLES if all((regime, name) in study.levels for _, regime in alpha_curve(study))]


def _pairs(stack: Stack) -> Floats:
    return np.fmax(_means(stack, (MONO, "map")), _means(stack, (CROSS, "map")))


def _means(stack: Stack, key: tuple[str, str]) -> Floats:
    """Means over queries and seeds, by query language (rows) and the other language of the cells."""
    number = {code: index for index, code in enumerate(stack.languages)}
    values = np.full((len(number), len(number)), np.nan)
    if key not in stack.matrices:  # such as pairs, in runs of the monolingual setting only
        return values
    for index, (query, other) in enumerate(stack.cells[key]):
        column = stack.matrices[key][:, :, index]
        if not np.isnan(column).all():
            values[number[query], number[other]] = np.nanmean(column)
    return values
