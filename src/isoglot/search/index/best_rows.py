"""Indices of the best scores, best first; ties in their original order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def best_rows(scores: NDArray[Any], k: int) -> NDArray[np.int64]:
    """Return indices of the k highest of scores (n,), or of all if there are fewer.

    >>> best_rows(np.array([0.1, 0.9, 0.5, 0.9]), 3).tolist()
    [1, 3, 2]
    """
    k = min(k, len(scores))
    if k < 1:
        return np.empty(0, np.int64)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    near = np.flatnonzero(~(scores < least))
    return near[np.argsort(-scores[near], kind="stable")[:k]]
