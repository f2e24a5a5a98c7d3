"""What `metrics.json` says of an evaluation: means by setting, language, family, script and pair; intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from isoglot.measuring.bootstrap import Interval, minimal_detectable
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL, Floats, column_means, mean_of

if TYPE_CHECKING:
    from isoglot.measuring.evaluation import Evaluation

_PAIR_FIGURES = ("map", "recall@1", "recall@10", "ndcg@10")


def metrics_record(result: Evaluation) -> dict[str, Any]:
    """The content of `metrics.json`."""
    means = {key: np.array(column_means(values.matrix)) for key, values in result.values.items()}

    def figures(setting: str, languages: set[str]) -> dict[str, float]:
        own = {
            name: mean_of(means[where, name][values.numbers(languages)])
            for (where, name), values in result.values.items()
            if where == setting
        }
        return {name: mean for name, mean in own.items() if languages == set(result.languages) or mean == mean}

    settings = {setting: figures(setting, set(result.languages)) for setting in (MONO, CROSS, POOL)}
    asking = {cell[0] for (where, name), v in result.values.items() if where == POOL for cell in v.cells}
    shares = _pool_shares(result)
    if shares:
        settings[POOL]["pool_share"] = mean_of(np.array([shares.get(lang, np.nan) for lang in sorted(asking)]))
    per_language: dict[str, Any] = {
        lang: {"candidates": result.candidates.get(lang), "pool_share": shares.get(lang)}
        | {where: own for where in (MONO, CROSS, POOL) if (own := figures(where, {lang}))}
        for lang in result.languages
    }
    pairs: dict[str, dict[str, float]] = {}
    for (setting, measure), values in result.values.items():
        if setting in (MONO, CROSS) and measure in _PAIR_FIGURES:
            for (x, y), mean in zip(values.cells, means[setting, measure].tolist(), strict=True):
                pairs.setdefault(f"{x}>{y}", {})[measure] = mean
    return {
        "benchmark": result.benchmark,
        "model": result.model,
        "languages": list(result.languages),
        **settings,
        "per_language": per_language,
        "slices": {
            name: {"languages": own, **{where: figures(where, set(own)) for where in (MONO, CROSS, POOL)}}
            for name, own in result.slices().items()
            if name not in ("all", *result.languages)
        },
        "pairs": dict(sorted(pairs.items())),
        "pair_summary": {
            measure: pair_summary(result.pair_matrix(measure), result.languages)
            for measure in _PAIR_FIGURES
            if (MONO, measure) in result.values and (CROSS, measure) in result.values
        },
        **_deletion(result, means),
        **_distraction(result),
        "intervals": {
            name: {part: _interval_record(found) for part, found in own.items()}
            for name, own in result.intervals.items()
        },
        "trained_languages": None if result.trained is None else list(result.trained),
        "depth": result.depth,
        "notes": list(result.notes),
        **({} if result.cut is None else {"cut": result.cut}),
        "ties": result.ties,
    }


def pair_summary(matrix: Floats, languages: tuple[str, ...]) -> dict[str, Any]:
    """What a pair matrix (rows: query language) says in three figures.

    Returns:
        `gap_to_diagonal`: mean over ordered pairs x != y of (m[x, x] + m[y, y]) / 2 - m[x, y];
        `asymmetry`: mean over unordered pairs of |m[x, y] - m[y, x]|; `worst` and `worst_pair`: the lowest m[x, y],
        x != y. NaN, and None for the pair, where no pair has what is needed.

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


def _pool_shares(result: Evaluation) -> dict[str, float]:
    total = sum(result.candidates.values())
    return {lang: size / total for lang, size in result.candidates.items()} if total else {}


def _distraction(result: Evaluation) -> dict[str, Any]:
    """What passages in other languages cost, where only the query's own language answers it."""
    if (POOL, "comp@10") in result.values or (POOL, "map") not in result.values or len(result.languages) < 2:
        return {}
    measures = [name for where, name in result.values if where == MONO and (POOL, name) in result.values]
    drops = {name: result.values[MONO, name].matrix - result.values[POOL, name].matrix for name in measures}
    means = {name: column_means(matrix) for name, matrix in drops.items()}
    return {
        "distraction": {name: mean_of(np.array(own)) for name, own in means.items()}
        | {
            "per_language": {
                lang: {name: own[index] for name, own in means.items()} for index, lang in enumerate(result.languages)
            }
        }
    }


def _deletion(result: Evaluation, means: dict[tuple[str, str], Floats]) -> dict[str, Any]:
    """The heatmap: query language, then deleted language."""
    values = result.values.get((DELETION, "map"))
    if values is None:
        return {}
    heatmap: dict[str, dict[str, float]] = {}
    for (x, y), mean in zip(values.cells, means[DELETION, "map"].tolist(), strict=True):
        heatmap.setdefault(x, {})[y] = mean
    return {DELETION: {"map": mean_of(means[DELETION, "map"]), "heatmap": heatmap}}


def _interval_record(found: Interval) -> dict[str, Any]:
    """An interval as JSON; `detectable` is for two such runs whose queries have nothing in common.

    A paired comparison shares its queries and finds smaller differences: `isoglot compare` says which.
    """
    return {
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "groups": found.groups,
        "detectable": minimal_detectable(2**0.5 * found.standard_error),
    }
