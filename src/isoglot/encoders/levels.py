"""How high each language's passages stand for a query: what has to come off before languages can be compared.

A model that prefers a language gives all of that language's passages higher scores, relevant or not, and the best of
them by more than the rest. The first shows in the mean over the language; the second in the mean of its nearest, which
is what CSLS (Conneau and others 2018, arXiv 1710.04087, there of single passages and queries) takes half of. A
language's level is the middle between the two means. So all of what a language is preferred by comes off, and half of
what its best stand out by: not more, since what stands out may be the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

NEAREST = 3
_PRIOR = 8.0  # a mean of this many passages is half its own, half all languages'


def language_levels(means: Floats, counts: NDArray[np.integer[Any]], nearest: Floats) -> Floats:
    """The level of each language for each query.

    Where a language has few passages, its means say little: that of n is drawn to the mean of all languages'
    ((n own + 8 all) / (n + 8)), and where it has not three, the missing are taken to be as near as all languages' are.
    Where no language's mean is known, the nearest tell it alone.

    Args:
        means: (queries, languages), the mean of a query's scores with a language's passages, or a sample of them.
        counts: (languages,) or (queries, languages), passages that each mean is of; 0 where there is none.
        nearest: (queries, languages, 3), the highest scores in each language; NaN where it has not so many.

    Returns:
        (queries, languages); a score less its language's level compares with those in other languages.

    Raises:
        ValueError: a query for which nothing was found in any language.

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
    """The level of each language for each query, out of scores.

    Args:
        scores: of each language's passages, or a sample of them, (queries, n) each; n may be 0.
        best: of each language, (queries, m) each, scores among which its three highest are; `scores` when None.

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
    """The three highest of each row, the highest first: (rows, 3) of (rows, n), NaN where there are not so many."""
    kept = min(NEAREST, scores.shape[1])
    best = np.full((len(scores), NEAREST), np.nan, scores.dtype)
    best[:, :kept] = -np.sort(np.partition(-scores, max(0, kept - 1), axis=1)[:, :kept], axis=1) if kept else 0
    return best
