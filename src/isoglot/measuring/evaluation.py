"""What a retriever did on a benchmark: per-query values, their means by language, family and script, and files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.brief import few
from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.languages.table import slices
from isoglot.measuring.bootstrap import Interval, intervals, minimal_detectable
from isoglot.measuring.per_query import (
    ALL,
    CROSS,
    DELETION,
    MONO,
    POOL,
    TABLE,
    Floats,
    Values,
    cells_of,
    column_means,
    mean_of,
    read_table,
    values_of,
    write_values,
)
from isoglot.measuring.top10 import save_hits

_PAIR_FIGURES = ("map", "recall@1", "recall@10", "ndcg@10")
# What an evaluation prints of each setting, and how.
_PRINTED = {"map": ".3f", "ndcg@10": ".3f", "recall@10": ".3f", "rank_distance": ".1f"}


@dataclass(frozen=True)
class Evaluation:
    """What one retriever does on one benchmark.

    Attributes:
        benchmark, model: names for reports.
        languages: codes, alphabetical.
        groups: names of the matrices' rows.
        values: by (setting, measure).
        ties: pairs of a relevant and another candidate with equal scores.
        candidates: candidates in each language.
        trained: languages that the model was trained on; None where nothing says.
        notes: what a reader of the figures must know.
        depth: candidates that a run lists for a query at least; None where the whole pool was ranked.
        intervals: by `setting.measure` and slice; empty until `with_intervals`.
        top: positions of the best candidates of every query in the pool, int32 (queries, 10 at most), in the order of
            the benchmark's queries; None where they are not known.
        cut: shares of the texts that the model read only in part, by `query` and `passage`, and `length`, the tokens
            that it read of one; None where nothing was encoded or the model does not say.
    """

    benchmark: str
    model: str
    languages: tuple[str, ...]
    groups: list[str]
    values: dict[tuple[str, str], Values]
    ties: int
    candidates: dict[str, int] = field(default_factory=dict)
    trained: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    depth: int | None = None
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    top: NDArray[np.int32] | None = field(default=None, repr=False, compare=False)
    cut: dict[str, float] | None = None

    def __repr__(self) -> str:
        pool = f", {sum(self.candidates.values())} candidates" if self.candidates else ""
        lines = [
            f"<Evaluation of {self.model} on {self.benchmark}: {len(self.groups)} question groups{pool}, "
            f"languages {few(self.languages)}"
        ]
        for setting in (MONO, CROSS, POOL):
            means = {measure: self.macro(setting, measure) for measure in _PRINTED}
            known = [f"{name} {mean:{_PRINTED[name]}}" for name, mean in means.items() if mean == mean]
            if known:
                lines.append(f"  {setting}: {', '.join(known)}")
        return "\n".join(lines) + ">"

    def macro(self, setting: str, measure: str) -> float:
        """Macro mean over languages (or ordered pairs); NaN where the setting has no such value."""
        values = self.values.get((setting, measure))
        return float("nan") if values is None else mean_of(np.array(column_means(values.matrix)))

    def slices(self) -> dict[str, list[str]]:
        """The sets of query languages that figures are given for; see `languages.slices`."""
        return slices(self.languages, self.trained)

    def pair_matrix(self, measure: str = "map") -> Floats:
        """Mean by query language (rows) and passage language: (L, L), NaN where there is no query."""
        number = {code: index for index, code in enumerate(self.languages)}
        matrix = np.full((len(number), len(number)), np.nan)
        for setting in (MONO, CROSS):
            values = self.values[setting, measure]
            for (x, y), mean in zip(values.cells, column_means(values.matrix), strict=True):
                matrix[number[x], number[y]] = mean
        return matrix

    def with_intervals(self, resamples: int = 10_000, *, seed: int = 0, level: float = 0.95) -> Evaluation:
        """The same with bootstrap intervals over groups, of every measure in every slice."""
        parts = {
            key: {name: values.numbers(set(own)) for name, own in self.slices().items()}
            for key, values in self.values.items()
        }
        matrices = {key: values.matrix for key, values in self.values.items()}
        found = intervals(matrices, parts, resamples=resamples, seed=seed, level=level)
        return replace(self, intervals={f"{key[0]}.{key[1]}": own for key, own in found.items() if own})

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        means = {key: np.array(column_means(values.matrix)) for key, values in self.values.items()}

        def figures(setting: str, languages: set[str]) -> dict[str, float]:
            own = {
                name: mean_of(means[where, name][values.numbers(languages)])
                for (where, name), values in self.values.items()
                if where == setting
            }
            return {name: mean for name, mean in own.items() if languages == set(self.languages) or mean == mean}

        settings = {setting: figures(setting, set(self.languages)) for setting in (MONO, CROSS, POOL)}
        asking = {cell[0] for (where, name), v in self.values.items() if where == POOL for cell in v.cells}
        shares = self._pool_shares()
        if shares:
            settings[POOL]["pool_share"] = mean_of(np.array([shares.get(lang, np.nan) for lang in sorted(asking)]))
        per_language: dict[str, Any] = {
            lang: {"candidates": self.candidates.get(lang), "pool_share": shares.get(lang)}
            | {where: own for where in (MONO, CROSS, POOL) if (own := figures(where, {lang}))}
            for lang in self.languages
        }
        pairs: dict[str, dict[str, float]] = {}
        for (setting, measure), values in self.values.items():
            if setting in (MONO, CROSS) and measure in _PAIR_FIGURES:
                for (x, y), mean in zip(values.cells, means[setting, measure].tolist(), strict=True):
                    pairs.setdefault(f"{x}>{y}", {})[measure] = mean
        return {
            "benchmark": self.benchmark,
            "model": self.model,
            "languages": list(self.languages),
            **settings,
            "per_language": per_language,
            "slices": {
                name: {"languages": own, **{where: figures(where, set(own)) for where in (MONO, CROSS, POOL)}}
                for name, own in self.slices().items()
                if name not in ("all", *self.languages)
            },
            "pairs": dict(sorted(pairs.items())),
            "pair_summary": {
                measure: pair_summary(self.pair_matrix(measure), self.languages)
                for measure in _PAIR_FIGURES
                if (MONO, measure) in self.values and (CROSS, measure) in self.values
            },
            **self._deletion(means),
            **self._distraction(),
            "intervals": {
                name: {part: _interval_record(found) for part, found in own.items()}
                for name, own in self.intervals.items()
            },
            "trained_languages": None if self.trained is None else list(self.trained),
            "depth": self.depth,
            "notes": list(self.notes),
            **({} if self.cut is None else {"cut": self.cut}),
            "ties": self.ties,
        }

    def save(self, folder: Path, benchmark: Benchmark | None = None) -> None:
        """Write `metrics.json` and `per_query.parquet` into an existing folder.

        Args:
            folder: where to.
            benchmark: what was measured on, for the best candidates of every query too (`top10.parquet`), where known.
        """
        if benchmark is not None and self.top is not None:
            save_hits(folder, benchmark, self.top)
        write_values(folder / TABLE, self.benchmark, self.groups, list(self.values.values()))
        write_json(folder / "metrics.json", self.metrics())

    def _pool_shares(self) -> dict[str, float]:
        total = sum(self.candidates.values())
        return {lang: size / total for lang, size in self.candidates.items()} if total else {}

    def _distraction(self) -> dict[str, Any]:
        """What passages in other languages cost, where only the query's own language answers it."""
        if (POOL, "comp@10") in self.values or (POOL, "map") not in self.values or len(self.languages) < 2:
            return {}
        measures = [name for where, name in self.values if where == MONO and (POOL, name) in self.values]
        drops = {name: self.values[MONO, name].matrix - self.values[POOL, name].matrix for name in measures}
        means = {name: column_means(matrix) for name, matrix in drops.items()}
        return {
            "distraction": {name: mean_of(np.array(own)) for name, own in means.items()}
            | {
                "per_language": {
                    lang: {name: own[index] for name, own in means.items()} for index, lang in enumerate(self.languages)
                }
            }
        }

    def _deletion(self, means: dict[tuple[str, str], Floats]) -> dict[str, Any]:
        """The heatmap: query language, then deleted language."""
        values = self.values.get((DELETION, "map"))
        if values is None:
            return {}
        heatmap: dict[str, dict[str, float]] = {}
        for (x, y), mean in zip(values.cells, means[DELETION, "map"].tolist(), strict=True):
            heatmap.setdefault(x, {})[y] = mean
        return {DELETION: {"map": mean_of(means[DELETION, "map"]), "heatmap": heatmap}}


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


def load_evaluation(folder: Path) -> Evaluation:
    """Read a saved evaluation back.

    Raises:
        InputError: files missing or not of this kind.
    """
    record = read_json(folder / "metrics.json")
    table = read_table(folder / TABLE)
    try:
        languages = tuple(record["languages"])
        groups, values = values_of(table, languages)
        trained = record.get("trained_languages")
        return Evaluation(
            record["benchmark"],
            record["model"],
            languages,
            groups,
            values,
            record["ties"],
            {lang: int(record["per_language"][lang].get("candidates") or 0) for lang in languages},
            None if trained is None else tuple(trained),
            tuple(record.get("notes", ())),
            record.get("depth"),
            {
                name: {part: _interval(found) for part, found in own.items()}
                for name, own in record.get("intervals", {}).items()
            },
            cut=record.get("cut"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{folder}: metrics.json and per_query.parquet are not of one evaluation "
            f"({type(error).__name__}: {error}); evaluate again"
        ) from error


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


def _interval(record: dict[str, Any]) -> Interval:
    return Interval(record["estimate"], record["low"], record["high"], None, record["groups"], record["standard_error"])


__all__ = [
    "ALL",
    "CROSS",
    "DELETION",
    "MONO",
    "POOL",
    "Evaluation",
    "Values",
    "cells_of",
    "load_evaluation",
    "pair_summary",
]
