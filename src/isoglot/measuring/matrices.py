"""Full query-by-candidate score matrices in memory, for rankings that need more than inner products."""

from __future__ import annotations

import numpy as np

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.embedder import Vectors
from isoglot.measuring.ranks import BLOCK_BYTES, score_blocks

MOST = 8 * 2**30  # bytes of scores


def require_room(benchmark: Benchmark, what: str, instead: str) -> None:
    """Check that a benchmark's score matrix takes at most 8 GiB.

    Args:
        benchmark: queries and candidates.
        what: what needs the scores, for the message.
        instead: what to do with an index instead, for the message.

    Raises:
        InputError: it would take more.
    """
    queries, candidates = len(benchmark.queries), len(benchmark.candidates)
    size = 4 * queries * candidates
    if size > MOST:
        raise InputError(
            f"{what} would compare each of {queries:,} queries with each of {candidates:,} candidates, "
            f"{size / 2**30:.0f} GiB of scores; make an index, and {instead}"
        )


def cosine_matrix(queries: Vectors, candidates: Vectors) -> Vectors:
    """Inner products of queries (n, d) and candidates (m, d), float32 (n, m)."""
    scores = np.empty((len(queries), len(candidates)), np.float32)
    for first, cosines in score_blocks(queries, candidates, BLOCK_BYTES):
        scores[first : first + len(cosines)] = cosines
    return scores
