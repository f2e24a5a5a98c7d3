"""Score a retriever's output: vectors in memory, vectors on disk, a score matrix, or a TREC run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.executors import Executor
from isoglot.data.benchmarks.benchmark import Benchmark, assemble
from isoglot.data.benchmarks.streamed import StreamedCorpus
from isoglot.encoders.embedder import Vectors
from isoglot.measuring import language_bias
from isoglot.measuring.disk_search import DEPTH, MEMORY, ranks_of, search_shards, ties_of
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.rank_scoring import TOP, score_ranks
from isoglot.measuring.ranks import BLOCK_BYTES, GoldRanks, gold_ranks, gold_ranks_from_scores, top_k_of_scores
from isoglot.measuring.trec_runs import read_trec_run


def score(
    benchmark: Benchmark,
    queries: Vectors,
    candidates: Vectors,
    *,
    name: str = "vectors",
    trained: tuple[str, ...] | None = None,
    relevant_from: float = 1,
    block_bytes: int = BLOCK_BYTES,
) -> Evaluation:
    """Score every setting from unit vectors.

    Args:
        benchmark: queries, candidates and relevance.
        queries: (queries, d) float32.
        candidates: (candidates, d) float32.
        name: of the model, for reports.
        trained: languages the model was trained on, where known.
        relevant_from: as in `score_ranks`.
        block_bytes: memory for scores; see `gold_ranks`.

    Raises:
        InputError: the number or dimension of the vectors is wrong, or a vector is not finite.
    """
    for what, vectors, texts in (
        ("query", queries, benchmark.queries),
        ("candidate", candidates, benchmark.candidates),
    ):
        if len(vectors) != len(texts):
            raise InputError(f"{len(vectors)} {what} vectors for {len(texts)} texts of {benchmark.name}")
    langs = benchmark.candidates.lang
    ranks, top = gold_ranks(
        queries, candidates, langs, benchmark.gold_offsets, benchmark.gold, TOP, block_bytes=block_bytes
    )
    agreement = (
        language_bias.mrc_at(queries, candidates, benchmark.group, TOP, top=top) if _is_parallel(benchmark) else None
    )
    share = language_bias.same_language_share(top, langs, benchmark.queries.lang)
    result = score_ranks(benchmark, ranks, share, agreement, name=name, trained=trained, relevant_from=relevant_from)
    return replace(result, top=top)


def score_matrix(
    benchmark: Benchmark,
    scores: Vectors,
    *,
    name: str = "scores",
    trained: tuple[str, ...] | None = None,
    relevant_from: float = 1,
) -> Evaluation:
    """Score every setting from a matrix of query-candidate scores.

    Args:
        benchmark: queries, candidates and relevance.
        scores: (queries, candidates) float32, without NaN; higher is better.
        name: of the model, for reports.
        trained: languages the model was trained on, where known.
        relevant_from: as in `score_ranks`.

    Raises:
        InputError: scores have the wrong shape or contain NaN.
    """
    wanted = len(benchmark.queries), len(benchmark.candidates)
    if scores.shape != wanted:
        raise InputError(f"scores have shape {scores.shape}; expected {wanted} of {benchmark.name}")
    langs = benchmark.candidates.lang
    ranks = gold_ranks_from_scores(scores, langs, benchmark.gold_offsets, benchmark.gold)
    top = top_k_of_scores(scores, TOP)
    agreement = language_bias.mrc_of_scores(scores, benchmark.group, top) if _is_parallel(benchmark) else None
    share = language_bias.same_language_share(top, langs, benchmark.queries.lang)
    result = score_ranks(benchmark, ranks, share, agreement, name=name, trained=trained, relevant_from=relevant_from)
    return replace(result, top=top)


def _is_parallel(benchmark: Benchmark) -> bool:
    """Whether some group has at least two queries, whose scores MRC can correlate."""
    return len(benchmark.groups) < len(benchmark.queries)


def score_run(
    benchmark: Benchmark,
    runs: Path | Mapping[str, Path],
    *,
    own_language: bool = False,
    relevant_from: float = 1,
) -> Evaluation:
    """Score one TREC run, or one run per query language.

    Args:
        benchmark: queries, candidates and relevance.
        runs: the run; or runs by query language, whose ids may lack the language prefix (as MIRACL's own do).
        own_language: each query was searched only among the passages in its language, so only the monolingual
            setting can be scored. Assumed when several runs by language list no other passages.
        relevant_from: as in `score_ranks`.

    Raises:
        InputError: a malformed run, or passages in other languages despite `own_language`.
    """
    run = read_trec_run(runs, benchmark, own_language=own_language)
    files = [runs] if isinstance(runs, Path) else list(runs.values())
    if own_language and run.outside:
        raise InputError(
            f"{files[0]}: lists passages in other languages than the query's, but each query was expected to search "
            "its own language only"
        )
    own_notes = ("the run searched only each query's own language: no other setting is scored",)
    result = score_ranks(
        benchmark,
        run.ranks,
        None if run.alone else run.share,
        name=",".join(path.stem for path in files),
        settings=(MONO,) if run.alone else (MONO, CROSS, POOL),
        depth=None if run.complete else run.depth,
        notes=(*run.notes, *own_notes) if run.alone else run.notes,
        relevant_from=relevant_from,
    )
    return replace(result, top=None if run.alone else run.top)


def score_shards(
    data: StreamedCorpus,
    place: Path,
    *,
    name: str,
    depth: int = DEPTH,
    memory: int = MEMORY,
    executor: Executor | None = None,
    trained: tuple[str, ...] | None = None,
    relevant_from: float = 1,
) -> Evaluation:
    """Score a streamed corpus from vectors on disk, by exact search in bounded memory.

    Args:
        data: queries and judgements.
        place: folder written by `encode_shards`.
        name: of the model.
        depth: passages kept per query; relevant passages beyond them count as never found.
        memory: bytes; see `search_shards`.
        executor: its workers search instead of this process.
        trained: languages the model was trained on, where known.
        relevant_from: as in `score_ranks`.
    """
    found = search_shards(place, data, depth=depth, memory=memory, executor=executor)
    position = dict(zip((key for query, _, _ in data.queries for key in data.answers[query]), found.gold, strict=True))
    benchmark = relevant_only(data)
    gold = np.array([position[benchmark.candidates.ids[index]] for index in benchmark.gold], np.int64)
    offsets = benchmark.gold_offsets
    # The search keeps the order of the corpus, a benchmark sorts its queries by language.
    row = {key: index for index, (key, _, _) in enumerate(data.queries)}
    rows = np.array([row[key] for key in benchmark.queries.ids], np.int64)
    own, best = (each.rows(rows) for each in (found.own, found.pooled))
    within, pooled = ranks_of(own, offsets, gold), ranks_of(best, offsets, gold)
    ranks = GoldRanks(offsets, benchmark.gold, within, pooled, ties_of(best, offsets, pooled))
    top = best.langs[:, :TOP]
    share = (top == benchmark.queries.lang[:, None]).sum(axis=1) / np.maximum((top >= 0).sum(axis=1), 1)
    complete = sum(found.sizes) <= depth
    note = f"the best {depth} passages of each query were kept; mAP and MRR count any other relevant one as never found"
    result = score_ranks(
        benchmark,
        ranks,
        share,
        name=name,
        trained=trained,
        depth=None if complete else depth,
        notes=() if complete else (note,),
        relevant_from=relevant_from,
    )
    return replace(result, candidates=dict(zip(data.languages, found.sizes, strict=True)))


def relevant_only(data: StreamedCorpus) -> Benchmark:
    """A streamed corpus reduced to its relevant passages, without their texts: enough to score known ranks."""
    relevant = [(key, lang, "") for query, lang, _ in data.queries for key in data.answers[query]]
    # A language without any relevant passage still needs a pool: give it a placeholder passage.
    bare = {lang for _, lang, _ in data.queries} - {lang for _, lang, _ in relevant}
    relevant += [(f"{lang}:\0", lang, "") for lang in sorted(bare)]
    return assemble(
        data.name,
        [(key, lang, data.groups[key], text) for key, lang, text in data.queries],
        list(dict.fromkeys(relevant)),
        data.answers,
        tuple(getattr(data, "notes", ())),
        by="query",
    )
