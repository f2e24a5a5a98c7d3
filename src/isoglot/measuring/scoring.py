"""Every measure of every setting, from the ranks of the relevant candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark, assemble
from isoglot.data.benchmarks.miracl import Miracl
from isoglot.measuring import language_bias
from isoglot.measuring.disk_search import DEPTH, MEMORY, ranks_of, search_shards, ties_of
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.measures import average_precision, ndcg_at, recall_at, reciprocal_rank
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL, Floats, Values, cells_of
from isoglot.measuring.ranks import BLOCK_BYTES, GoldRanks, gold_ranks_and_top, query_of, select
from isoglot.measuring.trec import read_run

TOP = 10  # cut-off of the measures of the best candidates
PEER_TOP = 100

_PAIR_MEASURES: dict[str, Callable[[Any, Any], Floats]] = {
    "map": average_precision,
    "recall@1": lambda offsets, ranks: recall_at(offsets, ranks, 1),
    "recall@10": lambda offsets, ranks: recall_at(offsets, ranks, 10),
    "recall@100": lambda offsets, ranks: recall_at(offsets, ranks, 100),
    "ndcg@10": lambda offsets, ranks: ndcg_at(offsets, ranks, 10),
    "mrr": reciprocal_rank,
}


def score_ranks(
    benchmark: Benchmark,
    ranks: GoldRanks,
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
    to_language = [select(ranks, gold_lang == number) for number in range(len(languages))]
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
            drops = language_bias.one_target_deletion(offsets, ranks.pooled, gold_lang, len(languages))
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


def _bias(benchmark: Benchmark, ranks: GoldRanks, gold_lang: Any) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Measures of language bias, for queries whose relevant candidates are in several languages; and remarks."""
    offsets, query_lang = ranks.offsets, benchmark.queries.lang
    query = query_of(offsets)
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
        f"comp@{TOP}": language_bias.comp_at(offsets, ranks.pooled, TOP),
        "comp@100": language_bias.comp_at(offsets, ranks.pooled, 100),
        "lpr": language_bias.lpr(offsets, ranks.pooled, gold_lang, query_lang),
        "lpr_unbiased": language_bias.unbiased_lpr(offsets, gold_lang, query_lang),
        f"tlr@{TOP}": language_bias.tlr_at(offsets, ranks.pooled, gold_lang, query_lang, TOP),
    }
    remarks: list[str] = []
    if np.isinf(ranks.pooled).any():
        remarks.append("rank distance and Max@R need every relevant candidate's rank, which this run lacks: left out")
    else:
        found = {
            "rank_distance": language_bias.rank_distance(offsets, ranks.pooled),
            "rank_distance_normalised": language_bias.normalised_rank_distance(offsets, ranks.pooled, size),
            "max@r": language_bias.max_at_r(offsets, ranks.pooled),
            "max@r_normalised": language_bias.normalised_max_at_r(offsets, ranks.pooled, size),
            **found,
        }
    cells = np.unique(query * len(benchmark.languages) + gold_lang)
    if len(cells) < len(gold_lang):
        found[f"peer@{PEER_TOP}"] = language_bias.peer_at(offsets, ranks.pooled, gold_lang, PEER_TOP)
    else:
        remarks.append(f"PEER@{PEER_TOP} is constant where each language has one relevant candidate, as here: left out")
    return {name: np.where(spans, own, np.nan) for name, own in found.items()}, tuple(remarks)


Vectors = NDArray[np.float32]


def score(
    benchmark: Benchmark,
    queries: Vectors,
    candidates: Vectors,
    *,
    name: str = "vectors",
    trained: tuple[str, ...] | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Evaluation:
    """Score every setting from unit vectors.

    Args:
        benchmark: queries, candidates and relevance.
        queries: (queries, d) float32.
        candidates: (candidates, d) float32.
        name: of the model, for reports.
        trained: languages the model was trained on, where known.
        block_bytes: memory for scores; see `gold_ranks`.

    Raises:
        InputError: vectors of another number or dimension, or not finite.
    """
    for what, vectors, texts in (
        ("query", queries, benchmark.queries),
        ("candidate", candidates, benchmark.candidates),
    ):
        if len(vectors) != len(texts):
            raise InputError(f"{len(vectors)} {what} vectors for {len(texts)} texts of {benchmark.name}")
    langs = benchmark.candidates.lang
    ranks, top = gold_ranks_and_top(
        queries, candidates, langs, benchmark.gold_offsets, benchmark.gold, TOP, block_bytes=block_bytes
    )
    # Parallel queries need one pool to agree on; where no group has two queries there is nothing to correlate.
    parallel = len(benchmark.groups) < len(benchmark.queries)
    agreement = language_bias.mrc_at(queries, candidates, benchmark.group, TOP, top=top) if parallel else None
    share = language_bias.same_language_share(top, langs, benchmark.queries.lang).top
    return score_ranks(benchmark, ranks, share, agreement, name=name, trained=trained)


def score_run(benchmark: Benchmark, path: Path, *, own_language: bool = False, name: str | None = None) -> Evaluation:
    """Score a TREC run.

    Args:
        benchmark: queries, candidates and relevance; the run uses its ids.
        path: the run.
        own_language: each query was asked of its own language's passages only, so nothing but the monolingual
            setting can be scored.
        name: of the run, for reports; the file's stem when None.

    Raises:
        InputError: a broken run, or one with passages in other languages in spite of `own_language`.
    """
    run = read_run(path, benchmark)
    if own_language and run.outside:
        raise InputError(f"--run {path}: lists passages in another language than the query's; drop --run-pool own")
    own_notes = ("the run asked each query of its own language only: no other setting is scored",)
    return score_ranks(
        benchmark,
        run.ranks,
        None if own_language else run.share,
        name=name or path.stem,
        settings=(MONO,) if own_language else (MONO, CROSS, POOL),
        depth=None if run.complete else run.depth,
        notes=(*run.notes, *own_notes) if own_language else run.notes,
    )


def score_shards(
    data: Miracl,
    place: Path,
    *,
    name: str,
    depth: int = DEPTH,
    memory: int = MEMORY,
    trained: tuple[str, ...] | None = None,
) -> Evaluation:
    """Score MIRACL from vectors on disk, by exact search in bounded memory.

    Args:
        data: queries and judgements.
        place: folder that `encode_shards` wrote.
        name: of the model.
        depth: passages kept for a query; a relevant one beyond them counts as never found.
        memory: bytes; see `search_shards`.
        trained: languages the model was trained on, where known.
    """
    found = search_shards(place, data, depth=depth, memory=memory)
    position = dict(zip((key for query, _, _ in data.queries for key in data.answers[query]), found.gold, strict=True))
    # Only relevant passages are needed to score ranks; the pool's sizes come from the search.
    relevant = [(key, lang, "") for query, lang, _ in data.queries for key in data.answers[query]]
    benchmark = assemble(
        data.name,
        [(key, lang, key, text) for key, lang, text in data.queries],
        list(dict.fromkeys(relevant)),
        data.answers,
        by="query",
    )
    gold = np.array([position[benchmark.candidates.ids[index]] for index in benchmark.gold], np.int64)
    offsets = benchmark.gold_offsets
    within, pooled = ranks_of(found.own, offsets, gold), ranks_of(found.pooled, offsets, gold)
    ranks = GoldRanks(offsets, benchmark.gold, within, pooled, ties_of(found.pooled, offsets, pooled))
    top = found.pooled.langs[:, :TOP]
    share = (top == benchmark.queries.lang[:, None]).sum(axis=1) / np.maximum((top >= 0).sum(axis=1), 1)
    complete = sum(found.sizes) <= depth
    note = f"the best {depth} passages of each query were kept; mAP and MRR count relevant ones beyond as never found"
    result = score_ranks(
        benchmark,
        ranks,
        share,
        name=name,
        trained=trained,
        depth=None if complete else depth,
        notes=() if complete else (note,),
    )
    return replace(result, candidates=dict(zip(data.languages, found.sizes, strict=True)))
