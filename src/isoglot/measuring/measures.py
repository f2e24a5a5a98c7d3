"""Average precision, recall, reciprocal rank and nDCG, one value a query, from the ranks of its golds."""

from __future__ import annotations

import numpy as np

from isoglot.measuring.ranks import Array, Floats, query_of


def average_precision(offsets: Array, ranks: Array) -> Floats:
    """Average precision: mean over golds of i / rank, where i counts from the best (trec_eval `map`)."""
    query = query_of(offsets)
    ranks = ranks[np.lexsort((ranks, query))]
    found = np.arange(1, len(ranks) + 1) - offsets[query]
    return mean_per_query(offsets, found / ranks)


def recall_at(offsets: Array, ranks: Array, k: int) -> Floats:
    """Share of the golds that are in the top k."""
    return mean_per_query(offsets, ranks <= k)


def reciprocal_rank(offsets: Array, ranks: Array) -> Floats:
    """1 / rank of the best gold."""
    best = np.zeros(len(offsets) - 1)
    np.maximum.at(best, query_of(offsets), 1 / ranks)
    return np.where(np.diff(offsets) > 0, best, np.nan)


def ndcg_at(offsets: Array, ranks: Array, k: int) -> Floats:
    """nDCG@k with gain 1 and discount log2(rank + 1) (trec_eval `ndcg_cut`); k at least 1."""
    gains = np.where(ranks <= k, 1 / np.log2(ranks + 1.0), 0.0)
    n = np.diff(offsets)
    ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))[np.minimum(n, k) - 1]
    return mean_per_query(offsets, gains * (n / ideal)[query_of(offsets)])


def mean_per_query(offsets: Array, values: Array) -> Floats:
    """float64 (Q,): mean of each query's entries, NaN where it has none."""
    n = np.diff(offsets)
    sums = np.bincount(query_of(offsets), weights=values, minlength=len(n))
    means: Floats = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
    return means
