"""Monolingual, cross-lingual and multilingual (pooled) retrieval on one benchmark, by exact search or from a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoglot import bias, metrics
from isoglot.data.benchmark import Benchmark, assemble
from isoglot.data.miracl import Miracl
from isoglot.debias import Debias
from isoglot.encode import encode
from isoglot.endpoint import PREFIX as ENDPOINT
from isoglot.endpoint import open_endpoint
from isoglot.errors import InputError
from isoglot.evaluation import Evaluation, load_evaluation
from isoglot.exact import DEPTH, MEMORY, ranks_of, search_shards, ties_of
from isoglot.model import load
from isoglot.provenance import read_run as read_record
from isoglot.scoring import TOP, score_ranks
from isoglot.trec import read_run
from isoglot.values import ALL, CROSS, DELETION, MONO, POOL, Values

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "ALL",
    "CROSS",
    "DELETION",
    "MONO",
    "POOL",
    "Evaluation",
    "Values",
    "encode_benchmark",
    "evaluate",
    "load_evaluation",
    "score",
    "score_ranks",
    "score_run",
    "score_shards",
    "trained_languages",
]

Vectors = NDArray[np.float32]


def evaluate(
    model: SentenceTransformer | str,
    benchmark: Benchmark,
    *,
    name: str | None = None,
    length: int | None = None,
    precision: str = "auto",
    debias: Debias | None = None,
    trained: tuple[str, ...] | None = None,
) -> Evaluation:
    """Encode a benchmark once and score every setting.

    Args:
        model: a Sentence Transformer, what `isoglot.load` takes, or `endpoint:URL#MODEL`.
        benchmark: queries, candidates and relevance.
        name: of the model, for reports.
        length: tokens kept of queries and candidates (192 by default).
        precision: `auto`, `bf16` or `fp32`.
        debias: a correction that both kinds of vectors pass through.
        trained: languages the model was trained on; read from its folder's `run.json` where there is one.

    Example:
        >>> from isoglot import evaluate, load_lareqa
        >>> result = evaluate("embedded", load_lareqa(Path("xquad-r"), langs="ar,de,en,es,hi,vi,zh"))  # doctest: +SKIP
        >>> result.macro("multilingual", "map")  # doctest: +SKIP
        0.326
    """
    if isinstance(model, str):
        name = name or model
        trained = trained or trained_languages(model)
    queries, candidates = encode_benchmark(model, benchmark, length=length, precision=precision, debias=debias)
    return score(benchmark, queries, candidates, name=name or "model", trained=trained)


def encode_benchmark(
    model: SentenceTransformer | str,
    benchmark: Benchmark,
    *,
    length: int | None = None,
    precision: str = "auto",
    debias: Debias | None = None,
) -> tuple[Vectors, Vectors]:
    """Unit vectors of a benchmark's queries and candidates, float32 (n, d) each; arguments as in `evaluate`."""
    if isinstance(model, str) and model.startswith(ENDPOINT):
        if length is not None:
            raise InputError("--length: an endpoint cuts texts by itself; leave it out")
        embed = open_endpoint(model)
        sides = embed(benchmark.queries.texts, "query"), embed(benchmark.candidates.texts, "document")
        return corrected(benchmark, *sides, debias)
    encoder = load(model) if isinstance(model, str) else model
    texts = benchmark.candidates.texts
    queries = encode(encoder, benchmark.queries.texts, "query", length=length, precision=precision, what="queries")
    candidates = encode(encoder, texts, "document", length=length, precision=precision, what="candidates")
    return corrected(benchmark, queries.vectors, candidates.vectors, debias)


def corrected(
    benchmark: Benchmark, queries: Vectors, candidates: Vectors, debias: Debias | None
) -> tuple[Vectors, Vectors]:
    """Take a correction of language bias off a benchmark's vectors; None changes nothing."""
    if debias is None:
        return queries, candidates
    codes = np.array(benchmark.languages)
    return (
        debias.apply(queries, codes[benchmark.queries.lang], "query"),
        debias.apply(candidates, codes[benchmark.candidates.lang], "document"),
    )


def trained_languages(model: str) -> tuple[str, ...] | None:
    """The languages that a model folder's `run.json` says it was trained on; None where nothing says."""
    record = read_record(Path(model)) if Path(model).is_dir() else None
    languages = record.get("languages") if record and record.get("verb") == "train" else None
    return tuple(map(str, languages)) if isinstance(languages, list) else None


def score(
    benchmark: Benchmark,
    queries: Vectors,
    candidates: Vectors,
    *,
    name: str = "vectors",
    trained: tuple[str, ...] | None = None,
    block_bytes: int = metrics.BLOCK_BYTES,
) -> Evaluation:
    """Score every setting from unit vectors.

    Args:
        benchmark: queries, candidates and relevance.
        queries: (queries, d) float32.
        candidates: (candidates, d) float32.
        name: of the model, for reports.
        trained: languages the model was trained on, where known.
        block_bytes: memory for scores; see `metrics.gold_ranks`.

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
    ranks, top = metrics.gold_ranks_and_top(
        queries, candidates, langs, benchmark.gold_offsets, benchmark.gold, TOP, block_bytes=block_bytes
    )
    # Parallel queries need one pool to agree on; where no group has two queries there is nothing to correlate.
    parallel = len(benchmark.groups) < len(benchmark.queries)
    agreement = bias.mrc_at(queries, candidates, benchmark.group, TOP, top=top) if parallel else None
    share = bias.same_language_share(top, langs, benchmark.queries.lang).top
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
    ranks = metrics.GoldRanks(offsets, benchmark.gold, within, pooled, ties_of(found.pooled, offsets, pooled))
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
