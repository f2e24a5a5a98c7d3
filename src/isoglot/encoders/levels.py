"""The level of each language's scores for a query, to be subtracted so that languages become comparable.

A model that prefers a language gives all of its passages higher scores, relevant or not, and the best of them even
more so. The first shows in the mean over the language; the second in the mean of its nearest passages, of which CSLS
(Conneau and others 2018, arXiv 1710.04087, there for single passages and queries) subtracts half. A language's level
is the average of these two means. So the general preference is subtracted in full, and the excess of the best passages
by half: not more, since the excess may be due to the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

NEAREST = 3
_PRIOR = 8.0  # a mean of this many passages counts half, the mean of all languages the other half


def language_levels(means: Floats, counts: NDArray[np.integer[Any]], nearest: Floats) -> Floats:
    """Return the level of each language for each query.

    The means of a language with few passages are unreliable: that of n passages is shrunk towards the mean of all
    languages ((n own + 8 all) / (n + 8)), and if it has fewer than three, the missing ones are taken to be as near as
    all languages' are. If no language's mean is known, the nearest alone determine the level.

    Args:
        means: (queries, languages), the mean of a query's scores with a language's passages, or with a sample of them.
        counts: (languages,) or (queries, languages), number of passages per mean; 0 if there are none.
        nearest: (queries, languages, 3), the highest scores in each language; NaN if there are fewer.

    Returns:
        (queries, languages); a score minus its language's level is comparable across languages.

    Raises:
        ValueError: no passage in any language for some query.

    >>> means, nearest = np.array([[0.7, 0.8]]), np.array([[[0.9, 0.8, 0.7], [0.9, 0.9, 0.9]]])
    >>> language_levels(means, np.array([10**6, 10**6]), nearest).round(4).tolist()
    [[0.75, 0.85]]
    """
    known, counted = ~np.isnan(nearest), np.broadcast_to(counts, means.shape)
    found, there = known.sum(axis=2), (counted > 0).sum(axis=1, keepdims=True)
    if not found.any(axis=1).all():
        raise ValueError("a query for which nothing was found")
    sums = np.where(known, nearest, 0.0).sum(axis=2)
    best = (sums / np.maximum(found, 1)).sum(axis=1, keepdims=True) / (found > 0).sum(axis=1, keepdims=True)
    near = (sums + (nearest.shape[2] - found) * best) / nearest.shape[2]
    filled = np.where(counted > 0, means, 0.0)
    every = filled.sum(axis=1, keepdims=True) / np.maximum(there, 1)
    mean = np.where(there > 0, (counted * filled + _PRIOR * every) / (counted + _PRIOR), near)
    levels: Floats = (mean + near) / 2
    return levels


def levels_of(scores: Sequence[Floats], best: Sequence[Floats] | None = None) -> Floats:
    """Return the level of each language for each query, from scores.

    Args:
        scores: of each language's passages, or of a sample of them, (queries, n) each; n may be 0.
        best: of each language, (queries, m) each, scores that include its three highest; `scores` when None.

    Returns:
        (queries, languages).

    >>> levels_of([np.array([[0.9, 0.8, 0.7] * 1000])]).round(4).tolist()
    [[0.85]]
    """
    counts = np.array([own.shape[1] for own in scores])
    means = np.stack([own.mean(axis=1) if own.size else np.zeros(len(own)) for own in scores], axis=1)
    nearest = np.stack([nearest_of(own) for own in (scores if best is None else best)], axis=1)
    return language_levels(means, counts, nearest)


def nearest_of(scores: Floats) -> Floats:
    """Return the three highest scores of each row, in descending order: (rows, 3) of (rows, n), padded with NaN."""
    kept = min(NEAREST, scores.shape[1])
    best = np.full((len(scores), NEAREST), np.nan, scores.dtype)
    best[:, :kept] = -np.sort(np.partition(-scores, max(0, kept - 1), axis=1)[:, :kept], axis=1) if kept else 0
    return best
