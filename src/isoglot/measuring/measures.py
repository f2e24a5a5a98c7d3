"""Average precision, recall, reciprocal rank and nDCG: one value per query, from the ranks of its golds."""

from __future__ import annotations

import numpy as np

from isoglot.measuring.ranks import Array, Floats, query_of


def average_precision(offsets: Array, ranks: Array) -> Floats:
    """Average precision: mean over golds of i / rank, where the gold is the i-th best (trec_eval `map`)."""
    query = query_of(offsets)
    ranks = ranks[np.lexsort((ranks, query))]
    found = np.arange(1, len(ranks) + 1) - offsets[query]
    return mean_per_query(offsets, found / ranks)


def recall_at(offsets: Array, ranks: Array, k: int) -> Floats:
    """Recall@k: the share of the golds in the top k."""
    return mean_per_query(offsets, ranks <= k)


def reciprocal_rank(offsets: Array, ranks: Array) -> Floats:
    """Reciprocal rank: 1 / rank of the best gold."""
    best = np.zeros(len(offsets) - 1)
    np.maximum.at(best, query_of(offsets), 1 / ranks)
    return np.where(np.diff(offsets) > 0, best, np.nan)


def ndcg_at(offsets: Array, ranks: Array, k: int, grades: Array | None = None) -> Floats:
    """nDCG@k with linear gain (the grade itself) and discount log2(rank + 1) (trec_eval `ndcg_cut`); k at least 1.

    Other programs use the gain 2^grade - 1 (Burges et al. 2005), which is the same only for grades 0 and 1.

    Args:
        offsets: int64 (Q + 1,).
        ranks: (G,).
        k: cut-off.
        grades: (G,), above 0; 1 each when None.

    >>> ndcg_at(np.array([0, 2]), np.array([1, 2]), 10, np.array([1, 3])).round(4).tolist()
    [0.7967]
    """
    grades = np.ones(len(ranks)) if grades is None else np.asarray(grades, np.float64)
    query = query_of(offsets)
    best = grades[np.lexsort((-grades, query))]
    place = np.arange(1, len(best) + 1) - offsets[query]  # rank in the ideal order
    size = len(offsets) - 1
    found = np.bincount(query, weights=np.where(ranks <= k, grades / np.log2(ranks + 1.0), 0.0), minlength=size)
    ideal = np.bincount(query, weights=np.where(place <= k, best / np.log2(place + 1.0), 0.0), minlength=size)
    values: Floats = np.divide(found, ideal, out=np.full(size, np.nan), where=ideal > 0)
    return values


def mean_per_query(offsets: Array, values: Array) -> Floats:
    """Mean of each query's entries, float64 (Q,); NaN for queries without entries."""
    n = np.diff(offsets)
    sums = np.bincount(query_of(offsets), weights=values, minlength=len(n))
    means: Floats = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
    return means
