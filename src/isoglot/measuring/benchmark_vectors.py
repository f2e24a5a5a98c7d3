"""Encode a benchmark's queries and candidates, and apply bias correction and pseudo-relevance feedback."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.debias import Debias
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Encoded, Encoder, Model, Vectors
from isoglot.encoders.encoding import encode
from isoglot.encoders.feedback import PASSAGES, drawn_to
from isoglot.encoders.in_context import joined, with_contexts
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.ranks import top_k_scored

CONTEXT_NOTE = "candidates' vectors are mixtures of their own and of those within their contexts"
FEEDBACK_NOTE = (
    f"feedback: every query was first moved towards its {PASSAGES} best passages of all languages, so the monolingual "
    "and cross-lingual settings use passages in languages that they do not rank"
)
_TOGETHER = 1024  # queries whose best candidates' vectors are in memory at once


class Sides(NamedTuple):
    """A benchmark's encoded queries and candidates."""

    queries: Encoded
    candidates: Encoded
    within: Vectors | None = None  # of the candidates within their contexts

    def add_to(self, result: Evaluation) -> Evaluation:
        """Add the shares of truncated texts to a result, with notes on truncation and on contexts where they apply."""
        if self.within is not None:
            result = result.with_note(CONTEXT_NOTE)
        shares = {"query": self.queries.cut_share, "passage": self.candidates.cut_share}
        length = self.candidates.length
        if length is None:
            return result
        said = [f"{share:.1%} of the {role} texts" for role, share in shares.items() if share]
        result = replace(result, cut={**shares, "length": length})
        longer = f"{' and '.join(said)} are longer than {length} tokens and were read up to there"
        return result.with_note(longer) if said else result


def encode_sides(embedder: Encoder, benchmark: Benchmark, *, in_context: bool = False) -> Sides:
    """Encode a benchmark's queries and candidates; arguments as in `evaluate`.

    Raises:
        InputError: `in_context` with a benchmark without contexts, or with an encoder that does not support them.
    """
    contexts = benchmark.contexts if in_context else None
    if in_context and contexts is None:
        raise InputError(f"in_context: the candidates of {benchmark.name} have no known contexts; leave it out")
    reader = None if contexts is None else with_contexts(embedder)
    queries = encode(embedder, benchmark.queries.texts, "query", what="queries")
    candidates = encode(embedder, benchmark.candidates.texts, "passage", what="candidates")
    if reader is None or contexts is None:
        return Sides(queries, candidates)
    within = reader.encoded_within(benchmark.candidates.texts, contexts, "passage", what="candidates in their contexts")
    return Sides(queries, candidates, within)


def encode_benchmark(
    model: Model | str,
    benchmark: Benchmark,
    *,
    length: int | None = None,
    precision: Precision = "auto",
    debias: Debias | None = None,
) -> tuple[Vectors, Vectors]:
    """Unit vectors of a benchmark's queries and candidates, float32 (n, d) each; arguments as in `evaluate`."""
    sides = encode_sides(open_embedder(model, ModelOptions(length=length, precision=precision)), benchmark)
    return corrected(benchmark, sides.queries.vectors, sides.candidates.vectors, debias)


def corrected(
    benchmark: Benchmark,
    queries: Vectors,
    candidates: Vectors,
    debias: Debias | None,
    *,
    feedback: bool = False,
    within: Vectors | None = None,
) -> tuple[Vectors, Vectors]:
    """Apply a correction of language bias to a benchmark's vectors, mix in contexts, and apply feedback.

    Args:
        benchmark: the benchmark that was encoded.
        queries: (n, d), unit vectors.
        candidates: (m, d), likewise.
        debias: the correction.
        feedback: as in `evaluate`.
        within: (m, d), vectors of the candidates within their contexts, to be mixed with `candidates`.
    """
    codes = np.array(benchmark.languages)
    if debias is not None:
        queries = debias.apply(queries, codes[benchmark.queries.lang], "query")
        candidates = debias.apply(candidates, codes[benchmark.candidates.lang], "passage")
        within = within if within is None else debias.apply(within, codes[benchmark.candidates.lang], "passage")
    candidates = candidates if within is None else joined(candidates, within)
    return (fed_back(queries, candidates, debias) if feedback else queries), candidates


def fed_back(queries: Vectors, candidates: Vectors, debias: Debias | None = None) -> Vectors:
    """Move queries towards their best candidates (see `isoglot.encoders.feedback`), float32 (n, d).

    Args:
        queries: (n, d), unit vectors.
        candidates: (m, d), of all languages: unit vectors, or shorter ones if contexts were mixed in.
        debias: the correction that was applied to both.
    """
    best, cosines = top_k_scored(queries, candidates, PASSAGES)
    hubs = None if debias is None else debias.hubs
    moved = np.empty(queries.shape, np.float32)
    for start in range(0, len(queries), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        moved[some] = drawn_to(queries[some], candidates[best[some]], cosines[some], hubs)
    return moved
