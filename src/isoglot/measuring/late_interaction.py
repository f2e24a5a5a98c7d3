"""Score a benchmark by late interaction: the tokens of every query against those of every candidate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from isoglot.core.progress import Progress
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.embedder import Encoder, Vectors, readable
from isoglot.encoders.late_interaction import late_scores, mixed
from isoglot.encoders.token_vectors import TokenEncoder, with_tokens
from isoglot.measuring.matrices import require_room
from isoglot.measuring.ranks import BLOCK_BYTES, score_blocks

LATE_NOTE = (
    "late interaction: scores combine the cosine of whole texts with those of tokens, each query token with its "
    "nearest passage token"
)
_LETTERS = 500_000  # characters of candidates whose token vectors are in memory at once


def require_late(encoder: Encoder, benchmark: Benchmark) -> TokenEncoder:
    """Return the encoder as a token encoder, if it can score a benchmark by late interaction.

    Raises:
        InputError: it provides no token vectors, or the score matrix would take more than 8 GiB.
    """
    require_room(benchmark, "late interaction", "re-rank the best results of its searches by late interaction")
    return with_tokens(encoder)


def late_matrix(
    encoder: Encoder, benchmark: Benchmark, queries: Vectors, candidates: Vectors, *, drawn: bool = False
) -> Vectors:
    """Scores mixed from cosines and late interaction, float32 (queries, candidates).

    Equal texts with equal vectors get equal scores.

    Args:
        encoder: an encoder that provides token vectors.
        benchmark: the benchmark whose texts are compared.
        queries: (queries, d), unit vectors of whole texts, after any correction and feedback.
        candidates: (candidates, d), unit vectors, or shorter ones if contexts were mixed in.
        drawn: whether feedback moved the queries, as in `late_interaction.mixed`.

    Raises:
        InputError: as in `require_late`.
    """
    model = require_late(encoder, benchmark)
    asked = model.encoded_tokens(benchmark.queries.texts, "query", what="tokens of queries")
    texts = np.array([readable(text) for text in benchmark.candidates.texts], dtype=object)
    distinct, place = np.unique(texts, return_inverse=True)
    scores = np.empty((len(queries), len(candidates)), np.float32)
    with Progress("comparing tokens", len(distinct)) as progress:
        for start, some in _chunks(distinct):
            held = model.encoded_tokens(some.tolist(), "passage", what="tokens of passages")
            columns = np.flatnonzero((place >= start) & (place < start + len(some)))
            scores[:, columns] = late_scores(asked, held)[:, place[columns] - start]
            progress.advance(len(some))
    for first, cosines in score_blocks(queries, candidates, BLOCK_BYTES):
        own = slice(first, first + len(cosines))
        scores[own] = mixed(cosines, scores[own], drawn=drawn)
    return scores


def _chunks(texts: NDArray[np.object_]) -> Iterator[tuple[int, NDArray[np.object_]]]:
    """Split texts into chunks of at most `_LETTERS` characters (or one text), each with its start position."""
    ends = np.cumsum([len(text) for text in texts])
    start = 0
    while start < len(texts):
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + _LETTERS, side="right")))
        yield start, texts[start:end]
        start = end
