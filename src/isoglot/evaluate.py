"""Monolingual, cross-lingual and multilingual (pooled) retrieval of one encoder on one benchmark, by exact search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isoglot import bias, metrics
from isoglot.data.benchmark import Benchmark
from isoglot.debias import Debias
from isoglot.encode import encode
from isoglot.errors import InputError
from isoglot.files import atomic_write, read_json, write_json
from isoglot.stats import macro_mean

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Cell = tuple[str, str]

MONO, CROSS, POOL = "monolingual", "cross_lingual", "multilingual"
ALL = "all"  # the passage language of the pooled setting

_PAIR_MEASURES: dict[str, Callable[[Any, Any], Floats]] = {
    "map": metrics.average_precision,
    "recall@1": lambda offsets, ranks: metrics.recall_at(offsets, ranks, 1),
    "recall@10": lambda offsets, ranks: metrics.recall_at(offsets, ranks, 10),
    "recall@100": lambda offsets, ranks: metrics.recall_at(offsets, ranks, 100),
    "ndcg@10": lambda offsets, ranks: metrics.ndcg_at(offsets, ranks, 10),
    "mrr": metrics.reciprocal_rank,
}
_POOL_MEASURES: dict[str, Callable[[Any, Any], Floats]] = {
    **_PAIR_MEASURES,
    "rank_distance": bias.rank_distance,
    "max@r": bias.max_at_r,
    "comp@10": lambda offsets, ranks: bias.comp_at(offsets, ranks, 10),
}


@dataclass(frozen=True)
class Values:
    """Per-query values of one measure in one setting, as a matrix that a bootstrap over groups can use.

    Attributes:
        setting: `monolingual`, `cross_lingual` or `multilingual`.
        measure: such as `map`.
        cells: (query language, passage language or `all`) of each column.
        matrix: (groups, cells) float64, NaN where a group has no such query or nothing relevant to it.
    """

    setting: str
    measure: str
    cells: tuple[Cell, ...]
    matrix: Floats

    def columns(self, languages: set[str]) -> Floats:
        """The columns whose query language is among `languages`."""
        keep = [index for index, cell in enumerate(self.cells) if cell[0] in languages]
        return self.matrix[:, keep]


@dataclass(frozen=True)
class Evaluation:
    """What one encoder does on one benchmark.

    Attributes:
        benchmark, model: names for reports.
        languages: codes, alphabetical.
        groups: names of the matrices' rows.
        values: by (setting, measure).
        ties: pairs of a relevant and another candidate with equal scores.
        candidates: candidates in each language.
    """

    benchmark: str
    model: str
    languages: tuple[str, ...]
    groups: list[str]
    values: dict[tuple[str, str], Values]
    ties: int
    candidates: dict[str, int] = field(default_factory=dict)

    def macro(self, setting: str, measure: str) -> float:
        """Macro mean over languages (or ordered pairs); NaN where the setting has no query."""
        matrix = self.values[setting, measure].matrix
        return macro_mean(matrix) if not np.isnan(matrix).all() else float("nan")

    def metrics(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        settings = {
            setting: {name: self.macro(where, name) for where, name in self.values if where == setting}
            for setting in (MONO, CROSS, POOL)
        }
        per_language: dict[str, Any] = {lang: {"candidates": self.candidates.get(lang)} for lang in self.languages}
        pairs: dict[str, dict[str, float]] = {}
        for (setting, measure), values in self.values.items():
            for cell, mean in zip(values.cells, _column_means(values.matrix), strict=True):
                if setting == POOL:
                    per_language[cell[0]].setdefault(POOL, {})[measure] = mean
                elif measure in ("map", "recall@1", "recall@10"):
                    pairs.setdefault(f"{cell[0]}>{cell[1]}", {})[measure] = mean
                if setting == MONO:
                    per_language[cell[0]].setdefault(MONO, {})[measure] = mean
            if setting == CROSS:
                for lang in self.languages:
                    own = values.columns({lang})
                    if not np.isnan(own).all():
                        per_language[lang].setdefault(CROSS, {})[measure] = macro_mean(own)
        return {
            "benchmark": self.benchmark,
            "model": self.model,
            "languages": list(self.languages),
            **settings,
            "per_language": per_language,
            "pairs": dict(sorted(pairs.items())),
            "ties": self.ties,
        }

    def save(self, folder: Path) -> None:
        """Write `metrics.json` and `per_query.parquet` into an existing folder."""
        parts = []
        for (setting, measure), values in self.values.items():
            rows, columns = np.nonzero(~np.isnan(values.matrix))
            cells = np.array(values.cells, dtype=object).reshape(-1, 2)
            names = np.array(self.groups, dtype=object)[rows]
            langs = cells[columns, 0]
            parts.append(
                pa.table(
                    {
                        "benchmark": pa.array([self.benchmark] * len(rows), pa.string()),
                        "setting": pa.array([setting] * len(rows), pa.string()),
                        "query_lang": pa.array(langs, pa.string()),
                        "passage_lang": pa.array(cells[columns, 1], pa.string()),
                        "group": pa.array(names, pa.string()),
                        "query_id": pa.array(langs + ":" + names, pa.string()),
                        "measure": pa.array([measure] * len(rows), pa.string()),
                        "value": pa.array(values.matrix[rows, columns], pa.float64()),
                    }
                )
            )
        with atomic_write(folder / "per_query.parquet") as temporary:
            pq.write_table(pa.concat_tables(parts), temporary)
        write_json(folder / "metrics.json", self.metrics())


def load_evaluation(folder: Path) -> Evaluation:
    """Read a saved evaluation back.

    Raises:
        InputError: files missing or not of this kind.
    """
    record = read_json(folder / "metrics.json")
    try:
        table = pq.read_table(folder / "per_query.parquet")
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{folder / 'per_query.parquet'}: cannot be read ({error}); evaluate again") from error
    languages = tuple(record["languages"])
    groups: list[str] = sorted(map(str, table.column("group").unique().to_pylist()))
    row_of = pa.array(groups)
    values: dict[tuple[str, str], Values] = {}
    keys = table.select(["setting", "measure"]).group_by(["setting", "measure"]).aggregate([]).to_pylist()
    for key in keys:
        part = table.filter(
            pc.and_(pc.equal(table["setting"], key["setting"]), pc.equal(table["measure"], key["measure"]))
        )
        cells = _cells(key["setting"], languages)
        column_of = {cell: index for index, cell in enumerate(cells)}
        matrix = np.full((len(groups), len(cells)), np.nan)
        where = zip(part["query_lang"].to_pylist(), part["passage_lang"].to_pylist(), strict=True)
        columns = [column_of[str(x), str(y)] for x, y in where]
        matrix[pc.index_in(part["group"], row_of).to_numpy(), columns] = part["value"].to_numpy()
        values[key["setting"], key["measure"]] = Values(key["setting"], key["measure"], cells, matrix)
    sizes = {lang: record["per_language"][lang].get("candidates") for lang in languages}
    return Evaluation(record["benchmark"], record["model"], languages, groups, values, record["ties"], sizes)


def evaluate(
    model: SentenceTransformer | str,
    benchmark: Benchmark,
    *,
    name: str | None = None,
    length: int | None = None,
    precision: str = "auto",
    debias: Debias | None = None,
) -> Evaluation:
    """Encode a benchmark once and score every setting.

    Args:
        model: a Sentence Transformer, or what `isoglot.load` takes.
        benchmark: queries, candidates and relevance.
        name: of the model, for reports.
        length: tokens kept of queries and candidates (192 by default).
        precision: `auto`, `bf16` or `fp32`.
        debias: a correction that both kinds of vectors pass through.

    Example:
        >>> from isoglot import evaluate, load_lareqa
        >>> result = evaluate("embedded", load_lareqa(Path("xquad-r")))  # doctest: +SKIP
        >>> result.macro("multilingual", "map")  # doctest: +SKIP
        0.299
    """
    if isinstance(model, str):
        from isoglot.model import load

        name = name or model
        model = load(model)
    queries = encode(model, benchmark.queries.texts, "query", length=length, precision=precision, what="queries")
    passages = encode(
        model, benchmark.candidates.texts, "document", length=length, precision=precision, what="candidates"
    )
    if debias is None:
        return score(benchmark, queries.vectors, passages.vectors, name=name or "model")
    codes = np.array(benchmark.languages)
    return score(
        benchmark,
        debias.apply(queries.vectors, codes[benchmark.queries.lang], "query"),
        debias.apply(passages.vectors, codes[benchmark.candidates.lang], "document"),
        name=name or "model",
    )


def score(benchmark: Benchmark, queries: Vectors, candidates: Vectors, *, name: str = "vectors") -> Evaluation:
    """Score every setting from unit vectors.

    Args:
        benchmark: queries, candidates and relevance.
        queries: (queries, d) float32.
        candidates: (candidates, d) float32.
        name: of the model, for reports.

    Raises:
        InputError: vectors of another number or dimension, or not finite.
    """
    for what, vectors, texts in (
        ("query", queries, benchmark.queries),
        ("candidate", candidates, benchmark.candidates),
    ):
        if len(vectors) != len(texts):
            raise InputError(f"{len(vectors)} {what} vectors for {len(texts)} texts of {benchmark.name}")
    ranks = metrics.gold_ranks(queries, candidates, benchmark.candidates.lang, benchmark.gold_offsets, benchmark.gold)
    return from_ranks(benchmark, ranks, name=name)


def from_ranks(benchmark: Benchmark, ranks: metrics.GoldRanks, *, name: str) -> Evaluation:
    """Compute every measure from the ranks of the relevant candidates, however they were found.

    Args:
        benchmark: queries, candidates and relevance.
        ranks: of the benchmark's relevant candidates, within their language and in the whole pool.
        name: of the model, for reports.
    """
    languages = benchmark.languages
    shape = (len(benchmark.groups), len(languages))
    row, column = benchmark.group, benchmark.queries.lang.astype(np.int64)
    values: dict[tuple[str, str], Values] = {}

    def spread(per_query: Floats) -> Floats:
        matrix = np.full(shape, np.nan)
        matrix[row, column] = per_query
        return matrix

    gold_lang = benchmark.candidates.lang[benchmark.gold]
    to_language = [metrics.select(ranks, gold_lang == number) for number in range(len(languages))]
    for measure, function in _PAIR_MEASURES.items():
        columns = {
            (x, y): own[:, number]
            for y, part in zip(languages, to_language, strict=True)
            for own in [spread(function(part.offsets, part.within))]
            for number, x in enumerate(languages)
        }
        for setting in (MONO, CROSS):
            cells = _cells(setting, languages)
            matrix = np.stack([columns[cell] for cell in cells], axis=1) if cells else np.empty((shape[0], 0))
            values[setting, measure] = Values(setting, measure, cells, matrix)
    for measure, function in _POOL_MEASURES.items():
        matrix = spread(function(ranks.offsets, ranks.pooled))
        values[POOL, measure] = Values(POOL, measure, _cells(POOL, languages), matrix)
    sizes = np.bincount(benchmark.candidates.lang, minlength=len(languages))
    return Evaluation(
        benchmark.name,
        name,
        languages,
        benchmark.groups,
        values,
        ranks.ties,
        {lang: int(size) for lang, size in zip(languages, sizes, strict=True)},
    )


def _cells(setting: str, languages: tuple[str, ...]) -> tuple[Cell, ...]:
    if setting == MONO:
        return tuple((lang, lang) for lang in languages)
    if setting == CROSS:
        return tuple((x, y) for x in languages for y in languages if x != y)
    return tuple((lang, ALL) for lang in languages)


def _column_means(matrix: Floats) -> list[float]:
    """Mean of each column over its present values; NaN where there are none."""
    present = ~np.isnan(matrix)
    sums = np.where(present, matrix, 0.0).sum(axis=0)
    counts = present.sum(axis=0)
    means: list[float] = np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0).tolist()
    return means
