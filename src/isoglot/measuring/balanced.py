"""A benchmark scored with every language's preference taken out, as `Searcher.search(..., fair="balanced")` does it."""

from __future__ import annotations

import numpy as np

from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.levels import levels_of
from isoglot.measuring.matrices import require_room

BALANCED_NOTE = (
    "balanced: in the pool of all languages, each score is less the level at which its language's candidates stand for "
    "the query"
)
_TOGETHER = 256  # queries


def require_balance(benchmark: Benchmark) -> None:
    """Refuse a benchmark that is too large for it.

    Raises:
        InputError: there would be more than 8 GiB of scores.
    """
    require_room(benchmark, "balancing", "have it searched with fair balanced")


def balance(benchmark: Benchmark, scores: Vectors) -> None:
    """Take from each score its language's level for the query (see `isoglot.encoders.levels`), in place.

    Args:
        benchmark: whose candidates have languages.
        scores: float32 (queries, candidates).
    """
    langs, place = np.unique(benchmark.candidates.lang, return_inverse=True)
    columns = [np.flatnonzero(place == code) for code in range(len(langs))]
    for start in range(0, len(scores), _TOGETHER):
        block = scores[start : start + _TOGETHER]
        block -= levels_of([block[:, own].astype(np.float64) for own in columns])[:, place]
