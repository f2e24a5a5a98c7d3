"""The results of a retriever on a benchmark: per-query values, means by language, family and script, and files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_choice
from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.core.short_repr import few
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.languages.table import slices
from isoglot.measuring.bootstrap import Interval, intervals
from isoglot.measuring.metrics_record import figures_record, interval_record, pair_matrix
from isoglot.measuring.per_query import (
    CROSS,
    MONO,
    POOL,
    SETTINGS,
    TABLE,
    Values,
    column_means,
    mean_of,
    read_table,
    values_of,
    write_values,
)
from isoglot.measuring.ranks import Floats
from isoglot.measuring.top10 import save_hits

# All known measures; a benchmark without parallel passages, or a short run, lacks some of them.
_KNOWN = {
    *("map", "recall@1", "recall@10", "recall@100", "mrr", "ndcg@10", "rank_distance", "rank_distance_normalised"),
    *("max@r", "max@r_normalised", "comp@10", "comp@100", "lpr", "lpr_unbiased", "tlr@10", "peer@100"),
    *("same_language@10", "mrc@10"),
}
# Measures shown in an evaluation's repr for each setting, with their formats.
_PRINTED = {"map": ".3f", "ndcg@10": ".3f", "recall@10": ".3f", "rank_distance": ".1f"}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The results of one retriever on one benchmark. `==` compares identity.

    Attributes:
        benchmark, model: names for reports.
        languages: codes, alphabetical.
        groups: names of the matrices' rows.
        values: by (setting, measure).
        ties: pairs of a relevant and another candidate with equal scores.
        candidates: number of candidates in each language.
        trained: languages the model was trained on; None if unknown.
        notes: caveats for readers of the figures.
        depth: the smallest number of candidates that a run lists for a query; None if the whole pool was ranked.
        intervals: by `setting.measure` and slice; empty until `with_intervals`.
        top: positions of the best candidates of every query in the pool, int32 (queries, 10 at most), in the order of
            the benchmark's queries; None if unknown.
        cut: shares of truncated texts by `query` and `passage`, and `length`, the limit in tokens; None if nothing
            was encoded or the model does not report it.
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
        """Macro mean over languages (or ordered pairs); NaN if the setting has no such measure.

        Args:
            setting: `monolingual`, `cross_lingual`, `multilingual` or `one_target_deletion`.
            measure: such as `map`, `ndcg@10`, `recall@100`, `rank_distance`.

        Raises:
            InputError: an unknown setting or measure.
        """
        check_measure(setting, measure, self.values)
        values = self.values.get((setting, measure))
        return float("nan") if values is None else mean_of(np.array(column_means(values.matrix)))

    def slices(self) -> dict[str, list[str]]:
        """The sets of query languages that figures are reported for; see `languages.slices`."""
        return slices(self.languages, self.trained)

    def pair_matrix(self, measure: str = "map") -> Floats:
        """Mean by query language (rows) and passage language: (L, L), NaN where there is no query."""
        return pair_matrix(self.values, self.languages, measure)

    def with_intervals(self, resamples: int = 10_000, *, seed: int = 0, level: float = 0.95) -> Evaluation:
        """A copy with bootstrap intervals over groups for every measure in every slice."""
        parts = {
            key: {name: values.numbers(set(own)) for name, own in self.slices().items()}
            for key, values in self.values.items()
        }
        matrices = {key: values.matrix for key, values in self.values.items()}
        found = intervals(matrices, parts, resamples=resamples, seed=seed, level=level)
        return replace(self, intervals={f"{key[0]}.{key[1]}": own for key, own in found.items() if own})

    def with_note(self, note: str) -> Evaluation:
        """A copy with one more note."""
        return replace(self, notes=(*self.notes, note))

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return {
            "benchmark": self.benchmark,
            "model": self.model,
            "languages": list(self.languages),
            **figures_record(self.values, self.languages, self.slices(), self.candidates),
            "intervals": {
                name: {part: interval_record(found) for part, found in own.items()}
                for name, own in self.intervals.items()
            },
            "trained_languages": None if self.trained is None else list(self.trained),
            "depth": self.depth,
            "notes": list(self.notes),
            **({} if self.cut is None else {"cut": self.cut}),
            "ties": self.ties,
        }

    def save(self, folder: Path | str, benchmark: Benchmark | None = None) -> None:
        """Write `metrics.json` and `per_query.parquet` into a folder.

        Args:
            folder: output folder, created if missing.
            benchmark: the benchmark that was evaluated; if given, and `top` is known, the best candidates of every
                query are written too (`top10.parquet`).
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if benchmark is not None and self.top is not None:
            save_hits(folder, benchmark, self.top)
        write_values(folder / TABLE, self.benchmark, self.groups, list(self.values.values()))
        write_json(folder / "metrics.json", self.metrics())


def check_measure(setting: str, measure: str, there: Iterable[tuple[str, str]]) -> None:
    """Check the names of a setting and a measure.

    Args:
        setting: name of a setting.
        measure: name of a measure; any that some evaluation may have.
        there: those measured, (setting, measure), for the message.

    Raises:
        InputError: an unknown setting or measure.
    """
    check_choice("setting", setting, SETTINGS)
    names = list(dict.fromkeys(name for _, name in there))
    if measure not in names and measure not in _KNOWN:
        raise InputError(f"measure {measure!r}: no such measure; there are: {', '.join(names)}")


def load_evaluation(folder: Path | str) -> Evaluation:
    """Read a saved evaluation.

    Raises:
        InputError: files are missing or are not those of an evaluation.
    """
    folder = Path(folder)
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
            f"{folder}: metrics.json and per_query.parquet are not from one evaluation "
            f"({type(error).__name__}: {error}); evaluate again"
        ) from error


def _interval(record: dict[str, Any]) -> Interval:
    return Interval(record["estimate"], record["low"], record["high"], None, record["groups"], record["standard_error"])
