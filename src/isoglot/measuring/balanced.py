"""Remove language preference from a benchmark's scores, as `Searcher.search(..., fair="balanced")` does."""

from __future__ import annotations

import numpy as np

from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.levels import levels_of
from isoglot.measuring.matrices import require_room

BALANCED_NOTE = (
    "balanced: in the pool of all languages, each score is reduced by the level of its language's candidates for "
    "the query"
)
_TOGETHER = 256  # queries per block


def require_balance(benchmark: Benchmark) -> None:
    """Check that a benchmark is small enough to be balanced.

    Raises:
        InputError: its score matrix would take more than 8 GiB.
    """
    require_room(benchmark, "balancing", "search it with fair balanced")


def balance(benchmark: Benchmark, scores: Vectors) -> None:
    """Subtract from each score the level of the candidate's language for the query, in place.

    For levels see `isoglot.encoders.levels`.

    Args:
        benchmark: its candidates' languages are used.
        scores: float32 (queries, candidates).
    """
    langs, place = np.unique(benchmark.candidates.lang, return_inverse=True)
    columns = [np.flatnonzero(place == code) for code in range(len(langs))]
    for start in range(0, len(scores), _TOGETHER):
        block = scores[start : start + _TOGETHER]
        block -= levels_of([block[:, own].astype(np.float64) for own in columns])[:, place]
