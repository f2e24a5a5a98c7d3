"""Monolingual, cross-lingual and multilingual (pooled) retrieval on one benchmark, by exact search or from a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isoglot.core.run_record import read_run as read_record
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.debias import Debias
from isoglot.encoders.embedder import Model, name_of
from isoglot.encoders.encoding import ModelEmbedder, encode
from isoglot.encoders.opening import open_embedder
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.scoring import Vectors, score


def evaluate(
    model: Model | str,
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
        model: a Sentence Transformer, what `isoglot.load` takes, `endpoint:URL#MODEL`, or any function from (texts,
            `query` or `passage`) to an array of one vector a text.
        benchmark: queries, candidates and relevance.
        name: of the model, for reports; what it calls itself when None.
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
        trained = trained or trained_languages(model)
    queries, candidates = encode_benchmark(model, benchmark, length=length, precision=precision, debias=debias)
    return score(
        benchmark,
        queries,
        candidates,
        name=name or (model if isinstance(model, str) else name_of(model)),
        trained=trained,
    )


def encode_benchmark(
    model: Model | str,
    benchmark: Benchmark,
    *,
    length: int | None = None,
    precision: str = "auto",
    debias: Debias | None = None,
) -> tuple[Vectors, Vectors]:
    """Unit vectors of a benchmark's queries and candidates, float32 (n, d) each; arguments as in `evaluate`."""
    if isinstance(model, str):
        model = open_embedder(model)
        if isinstance(model, ModelEmbedder):
            model = model.model
    texts = benchmark.candidates.texts
    queries = encode(model, benchmark.queries.texts, "query", length=length, precision=precision, what="queries")
    candidates = encode(model, texts, "passage", length=length, precision=precision, what="candidates")
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
        debias.apply(candidates, codes[benchmark.candidates.lang], "passage"),
    )


def trained_languages(model: str) -> tuple[str, ...] | None:
    """The languages that a model folder's `run.json` says it was trained on; None where nothing says."""
    record = read_record(Path(model)) if Path(model).is_dir() else None
    languages = record.get("languages") if record and record.get("verb") == "train" else None
    return tuple(map(str, languages)) if isinstance(languages, list) else None
