"""Every measure of every setting, from the ranks of the relevant candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from isoglot import bias, metrics
from isoglot.data.benchmark import Benchmark
from isoglot.evaluation import Evaluation
from isoglot.values import CROSS, DELETION, MONO, POOL, Floats, Values, cells_of

TOP = 10  # cut-off of the measures of the best candidates
PEER_TOP = 100

_PAIR_MEASURES: dict[str, Callable[[Any, Any], Floats]] = {
    "map": metrics.average_precision,
    "recall@1": lambda offsets, ranks: metrics.recall_at(offsets, ranks, 1),
    "recall@10": lambda offsets, ranks: metrics.recall_at(offsets, ranks, 10),
    "recall@100": lambda offsets, ranks: metrics.recall_at(offsets, ranks, 100),
    "ndcg@10": lambda offsets, ranks: metrics.ndcg_at(offsets, ranks, 10),
    "mrr": metrics.reciprocal_rank,
}


def score_ranks(
    benchmark: Benchmark,
    ranks: metrics.GoldRanks,
    same_language: Floats | None = None,
    agreement: Floats | None = None,
    *,
    name: str,
    trained: tuple[str, ...] | None = None,
    settings: tuple[str, ...] = (MONO, CROSS, POOL),
    depth: int | None = None,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Compute every measure from the ranks of the relevant candidates.

    Args:
        benchmark: queries, candidates and relevance.
        ranks: of its relevant candidates; infinite where a run of limited depth lacks them.
        same_language: (queries,) share of the query's language in the top 10, where known.
        agreement: (queries,) MRC@10, where known.
        name: of the model or run.
        trained: languages the model was trained on, where known.
        settings: those to score.
        depth: of a run, None where the whole pool was ranked.
        notes: what a reader of the figures must know.
    """
    languages, offsets = benchmark.languages, ranks.offsets
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
            if setting in settings:
                cells = cells_of(setting, languages)
                matrix = np.stack([columns[cell] for cell in cells], axis=1) if cells else np.empty((shape[0], 0))
                values[setting, measure] = Values(setting, measure, cells, matrix)
    if POOL in settings:
        pooled = {name: function(offsets, ranks.pooled) for name, function in _PAIR_MEASURES.items()}
        of_bias, remarks = _bias(benchmark, ranks, gold_lang)
        pooled |= of_bias
        notes = (*notes, *remarks)
        if same_language is not None:
            pooled[f"same_language@{TOP}"] = same_language
        if agreement is not None:
            pooled[f"mrc@{TOP}"] = agreement
        for measure, per_query in pooled.items():
            values[POOL, measure] = Values(POOL, measure, cells_of(POOL, languages), spread(per_query))
        if of_bias:
            drops = bias.one_target_deletion(offsets, ranks.pooled, gold_lang, len(languages))
            matrix = np.full((*shape, len(languages)), np.nan)
            matrix[row, column] = drops
            cells = cells_of(DELETION, languages)
            values[DELETION, "map"] = Values(DELETION, "map", cells, matrix.reshape(shape[0], -1))
    sizes = np.bincount(benchmark.candidates.lang, minlength=len(languages))
    return Evaluation(
        benchmark.name,
        name,
        languages,
        benchmark.groups,
        values,
        ranks.ties,
        {lang: int(size) for lang, size in zip(languages, sizes, strict=True)},
        trained,
        (*benchmark.notes, *notes),
        depth,
    )


def _bias(benchmark: Benchmark, ranks: metrics.GoldRanks, gold_lang: Any) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Measures of language bias, for queries whose relevant candidates are in several languages; and remarks."""
    offsets, query_lang = ranks.offsets, benchmark.queries.lang
    query = metrics.query_of(offsets)
    spans = np.zeros(len(offsets) - 1, np.bool_)
    first = gold_lang[np.minimum(offsets[:-1], max(len(gold_lang) - 1, 0))] if len(gold_lang) else query_lang
    spans[query[gold_lang != first[query]]] = True
    if not spans.any():
        return {}, (
            "no query has relevant candidates in several languages: rank distance, Max@R, Comp@K, LPR, TLR@k and "
            "one-target deletion compare languages of one query's answers, so they are not reported",
        )
    size = len(benchmark.candidates)
    found = {
        f"comp@{TOP}": bias.comp_at(offsets, ranks.pooled, TOP),
        "comp@100": bias.comp_at(offsets, ranks.pooled, 100),
        "lpr": bias.lpr(offsets, ranks.pooled, gold_lang, query_lang),
        "lpr_unbiased": bias.unbiased_lpr(offsets, gold_lang, query_lang),
        f"tlr@{TOP}": bias.tlr_at(offsets, ranks.pooled, gold_lang, query_lang, TOP),
    }
    remarks: list[str] = []
    if np.isinf(ranks.pooled).any():
        remarks.append("rank distance and Max@R need every relevant candidate's rank, which this run lacks: left out")
    else:
        found = {
            "rank_distance": bias.rank_distance(offsets, ranks.pooled),
            "rank_distance_normalised": bias.normalised_rank_distance(offsets, ranks.pooled, size),
            "max@r": bias.max_at_r(offsets, ranks.pooled),
            "max@r_normalised": bias.normalised_max_at_r(offsets, ranks.pooled, size),
            **found,
        }
    cells = np.unique(query * len(benchmark.languages) + gold_lang)
    if len(cells) < len(gold_lang):
        found[f"peer@{PEER_TOP}"] = bias.peer_at(offsets, ranks.pooled, gold_lang, PEER_TOP)
    else:
        remarks.append(f"PEER@{PEER_TOP} is constant where each language has one relevant candidate, as here: left out")
    return {name: np.where(spans, own, np.nan) for name, own in found.items()}, tuple(remarks)
