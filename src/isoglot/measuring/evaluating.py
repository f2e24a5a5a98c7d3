"""Monolingual, cross-lingual and multilingual (pooled) retrieval on one benchmark, by exact search or from a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.run_record import read_run as read_record
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.debias import Debias
from isoglot.encoders.encoding import encode
from isoglot.encoders.endpoint import PREFIX as ENDPOINT
from isoglot.encoders.endpoint import open_endpoint
from isoglot.encoders.loading import load
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.scoring import Vectors, score

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


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
