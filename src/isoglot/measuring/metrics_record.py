"""The figures in `metrics.json`: means by setting, language, family, script and pair; intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.measuring.bootstrap import Interval, minimal_detectable
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL, Values, cells_of, column_means, mean_of
from isoglot.measuring.ranks import Floats

AllValues = Mapping[tuple[str, str], Values]  # by (setting, measure)

_PAIR_FIGURES = ("map", "recall@1", "recall@10", "ndcg@10")


def figures_record(
    values: AllValues,
    languages: tuple[str, ...],
    slices: Mapping[str, list[str]],
    candidates: Mapping[str, int],
) -> dict[str, Any]:
    """The means of an evaluation, in the layout of `metrics.json`.

    Args:
        values: per-query values.
        languages: codes, alphabetical.
        slices: the sets of query languages that figures are reported for.
        candidates: number of candidates in each language.
    """
    means = {key: np.array(column_means(own.matrix)) for key, own in values.items()}

    def figures(setting: str, asked: set[str]) -> dict[str, float]:
        found = {
            name: mean_of(means[where, name][own.numbers(asked)])
            for (where, name), own in values.items()
            if where == setting
        }
        return {name: mean for name, mean in found.items() if asked == set(languages) or mean == mean}

    settings = {setting: figures(setting, set(languages)) for setting in (MONO, CROSS, POOL)}
    total = sum(candidates.values())
    shares = {lang: size / total for lang, size in candidates.items()} if total else {}
    if shares:
        asking = sorted(_asking(values))
        settings[POOL]["pool_share"] = mean_of(np.array([shares.get(lang, np.nan) for lang in asking]))
    return {
        **settings,
        "per_language": {
            lang: {"candidates": candidates.get(lang), "pool_share": shares.get(lang)}
            | {where: own for where in (MONO, CROSS, POOL) if (own := figures(where, {lang}))}
            for lang in languages
        },
        "slices": {
            name: {"languages": own, **{where: figures(where, set(own)) for where in (MONO, CROSS, POOL)}}
            for name, own in slices.items()
            if name not in ("all", *languages)
        },
        "pairs": _pairs(values, means, languages),
        "pair_summary": {
            measure: pair_summary(pair_matrix(values, languages, measure), languages)
            for measure in _PAIR_FIGURES
            if (MONO, measure) in values and (CROSS, measure) in values
        },
        **_deletion(values, means),
        **_distraction(values, languages),
    }


def _asking(values: AllValues) -> set[str]:
    """Languages of the pool's queries; it may hold others, whose shares no same-language share is compared with."""
    return {
        cell[0]
        for (where, _), own in values.items()
        if where == POOL
        for cell, column in zip(own.cells, own.matrix.T, strict=True)
        if not np.isnan(column).all()
    }


def _pairs(
    values: AllValues, means: Mapping[tuple[str, str], Floats], languages: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Means by pair of query and passage language; NaN for pairs without values."""
    pairs: dict[str, dict[str, float]] = {}
    for (setting, measure), own in values.items():
        if setting in (MONO, CROSS) and measure in _PAIR_FIGURES:
            known = dict(zip(own.cells, means[setting, measure].tolist(), strict=True))
            for x, y in cells_of(setting, languages):
                pairs.setdefault(f"{x}>{y}", {})[measure] = known.get((x, y), float("nan"))
    return dict(sorted(pairs.items()))


def pair_matrix(values: AllValues, languages: tuple[str, ...], measure: str) -> Floats:
    """Mean by query language (rows) and passage language: (L, L), NaN where there is no query.

    Raises:
        InputError: the measure was not computed in both the monolingual and the cross-lingual setting.
    """
    number = {code: index for index, code in enumerate(languages)}
    matrix = np.full((len(number), len(number)), np.nan)
    for setting in (MONO, CROSS):
        own = values.get((setting, measure))
        if own is None:
            there = ", ".join(name for where, name in values if where == setting)
            raise InputError(f"measure {measure!r}: not measured here; there are: {there}")
        for (x, y), mean in zip(own.cells, column_means(own.matrix), strict=True):
            matrix[number[x], number[y]] = mean
    return matrix


def pair_summary(matrix: Floats, languages: tuple[str, ...]) -> dict[str, Any]:
    """Summarise a pair matrix (rows: query language) in three figures.

    Returns:
        `gap_to_diagonal`: mean over ordered pairs x != y of (m[x, x] + m[y, y]) / 2 - m[x, y];
        `asymmetry`: mean over unordered pairs of |m[x, y] - m[y, x]|; `worst` and `worst_pair`: the lowest m[x, y],
        x != y. NaN, and None for the pair, if no pair has the values needed.

    >>> pair_summary(np.array([[0.8, 0.6], [0.5, 0.6]]), ("de", "th"))["worst_pair"]
    'th>de'
    """
    other = ~np.eye(len(matrix), dtype=bool)
    diagonal = np.diagonal(matrix)
    gaps = ((diagonal[:, None] + diagonal) / 2 - matrix)[other]
    upper = np.triu(other)
    swaps = np.abs(matrix - matrix.T)[upper]
    away = np.where(other, matrix, np.nan)
    known = not np.isnan(away).all()
    x, y = divmod(int(np.nanargmin(away)), len(matrix)) if known else (0, 0)
    return {
        "gap_to_diagonal": mean_of(gaps),
        "asymmetry": mean_of(swaps),
        "worst": float(away[x, y]) if known else float("nan"),
        "worst_pair": f"{languages[x]}>{languages[y]}" if known else None,
    }


def interval_record(found: Interval) -> dict[str, Any]:
    """An interval as JSON; `detectable` assumes two runs like this one with independent queries.

    A paired comparison shares its queries and detects smaller differences, which `isoglot compare` reports.
    """
    return {
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "groups": found.groups,
        "detectable": minimal_detectable(2**0.5 * found.standard_error),
    }


def _distraction(values: AllValues, languages: tuple[str, ...]) -> dict[str, Any]:
    """What passages in other languages cost (monolingual minus pooled), if only a query's own language answers it."""
    if (POOL, "comp@10") in values or (POOL, "map") not in values or len(languages) < 2:
        return {}
    measures = [name for where, name in values if where == MONO and (POOL, name) in values]
    drops = {name: values[MONO, name].matrix - values[POOL, name].matrix for name in measures}
    means = {name: column_means(matrix) for name, matrix in drops.items()}
    return {
        "distraction": {name: mean_of(np.array(own)) for name, own in means.items()}
        | {
            "per_language": {
                lang: {name: own[index] for name, own in means.items()} for index, lang in enumerate(languages)
            }
        }
    }


def _deletion(values: AllValues, means: Mapping[tuple[str, str], Floats]) -> dict[str, Any]:
    """Mean drop of one-target deletion, and its heatmap by query language, then deleted language."""
    deleted = values.get((DELETION, "map"))
    if deleted is None:
        return {}
    heatmap: dict[str, dict[str, float]] = {}
    for (x, y), mean in zip(deleted.cells, means[DELETION, "map"].tolist(), strict=True):
        heatmap.setdefault(x, {})[y] = mean
    return {DELETION: {"map": mean_of(means[DELETION, "map"]), "heatmap": heatmap}}
