"""Measures of language bias in a multilingual ranking: one value per query, to be macro-averaged over query languages.

The relevant candidates R_q of query q are entries `offsets[q]` to `offsets[q + 1]` of flat arrays: `ranks`
(1-based, in the whole pool of N candidates: `GoldRanks.pooled`) and `gold_langs` (integers). n = |R_q|.
Results are float64 (Q,), NaN where a measure is undefined: for n < 2 unless the measure says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from isoglot.core.errors import InputError
from isoglot.measuring.measures import average_precision, mean_per_query
from isoglot.measuring.ranks import Array, Floats, query_of, top_k

_ENTRIES, _NUMBERS = 2**18, 2**22  # size limits of the arrays that compare groups of queries


def rank_distance(offsets: Array, ranks: Array) -> Floats:
    """Rank distance: worst minus best rank of R_q (arXiv 2408.10536). At least n - 1; read it together with mAP.

    So is it where several were not found, and are all given the rank after the last one searched.

    >>> rank_distance(np.array([0, 3]), np.array([4, 1, 9]))
    array([8.])
    """
    found: Floats = np.maximum(_highest(offsets, ranks) + _highest(offsets, -1.0 * ranks), np.diff(offsets) - 1)
    return found


def normalised_rank_distance(offsets: Array, ranks: Array, pool: int) -> Floats:
    """(rank distance - (n - 1)) / (N - n): 0 best, 1 worst; NaN also if all N = `pool` candidates are relevant."""
    n = np.diff(offsets)
    return _divide(rank_distance(offsets, ranks) - (n - 1), pool - n)


def max_at_r(offsets: Array, ranks: Array) -> Floats:
    """Max@R: the worst rank of R_q (arXiv 2604.05684). At least n, as in `rank_distance`."""
    found: Floats = np.maximum(_highest(offsets, ranks), np.diff(offsets))
    return found


def _highest(offsets: Array, ranks: Array) -> Floats:
    highest = np.full(len(offsets) - 1, np.nan)
    np.fmax.at(highest, query_of(offsets), ranks)
    return _several(offsets, highest)


def normalised_max_at_r(offsets: Array, ranks: Array, pool: int) -> Floats:
    """100 (log2 N - log2 Max@R) / (log2 N - log2 n) (arXiv 2604.05684): 100 best, 0 worst; NaN for N = n."""
    n = np.maximum(np.diff(offsets), 1)
    return _divide(100 * np.log2(pool / max_at_r(offsets, ranks)), np.log2(pool / n))


def comp_at(offsets: Array, ranks: Array, k: int) -> Floats:
    """Comp@k: 1 if all of R_q is in the top k, else 0 (arXiv 2604.05684)."""
    return _several(offsets, np.floor(mean_per_query(offsets, ranks <= k)))


def same_language_share(top: Array, candidate_langs: Array, query_langs: Array) -> Floats:
    """Share of the top k in the query's language (no bias: that language's share of the pool).

    Args:
        top: integers (Q, k), positions as from `ranks.top_k`.
        candidate_langs: integers (N,).
        query_langs: integers (Q,).
    """
    share: Floats = (candidate_langs[top] == query_langs[:, None]).mean(axis=1)
    return share


def lpr(offsets: Array, ranks: Array, gold_langs: Array, query_langs: Array) -> Floats:
    """LPR: 1 if the best-ranked relevant candidate is in the query's language, else 0 (after arXiv 2605.07249).

    NaN also if none of R_q is in the query's language, or none was retrieved. Compare the mean with that of
    `unbiased_lpr`.
    """
    own = gold_langs == query_langs[query_of(offsets)]
    best_own, best = np.full((2, len(offsets) - 1), np.inf)
    np.minimum.at(best_own, query_of(offsets), np.where(own, ranks, np.inf))
    np.minimum.at(best, query_of(offsets), ranks)
    undefined = (mean_per_query(offsets, own) == 0) | np.isinf(best)
    return _several(offsets, np.where(undefined, np.nan, best_own == best))


def unbiased_lpr(offsets: Array, gold_langs: Array, query_langs: Array) -> Floats:
    """Expected `lpr` of a ranking without language bias: the share of R_q in the query's language, mostly 1 / n."""
    share = mean_per_query(offsets, gold_langs == query_langs[query_of(offsets)])
    return _several(offsets, np.where(share > 0, share, np.nan))


def tlr_at(offsets: Array, ranks: Array, gold_langs: Array, query_langs: Array, k: int) -> Floats:
    """TLR@k: recall@k over the relevant candidates not in the query's language (arXiv 2606.18801).

    NaN only if there are no such candidates.
    """
    other = gold_langs != query_langs[query_of(offsets)]
    return mean_per_query(np.append(0, np.cumsum(other))[offsets], (ranks <= k)[other])


def one_target_deletion(offsets: Array, ranks: Array, gold_langs: Array, languages: int) -> Floats:
    """Drop in average precision when the golds in language l are removed from pool and R_q (LAReQA, arXiv 2004.05484).

    If a query has several golds in l, all of them are removed, and the candidates below move up.

    Args:
        offsets: integers (Q + 1,).
        ranks: integers (G,).
        gold_langs: integers (G,) in 0..L-1.
        languages: L.

    Returns:
        float64 (Q, L), NaN if the query has no gold in l, or no other gold.
    """
    order = np.lexsort((ranks, query_of(offsets)))
    ranks, gold_langs = ranks[order], gold_langs[order]
    before = average_precision(offsets, ranks)
    drops = np.full((len(before), languages), np.nan)
    for lang in range(languages):
        gone = np.append(0, np.cumsum(gold_langs == lang))
        above = gone[:-1] - gone[offsets[query_of(offsets)]]
        after = average_precision(offsets - gone[offsets], (ranks - above)[gold_langs != lang])
        drops[:, lang] = np.where(np.diff(gone[offsets]) > 0, before - after, np.nan)
    return drops


def mrc_at(queries: Array, candidates: Array, groups: Array, k: int, *, top: Array | None = None) -> Floats:
    """MRC@k: rank correlation of the scores of parallel queries (Mean Rank Correlation, arXiv 2509.06195).

    For two queries of a group: Spearman's rho between their scores for the union of their top k. A query's
    value is the mean over the other queries of its group; NaN if there are none, or if all scores are equal.

    Args:
        queries: float32 (Q, d).
        candidates: float32 (N, d).
        groups: integers (Q,), the same for parallel queries.
        k: cut-off.
        top: integers (Q, k), from `ranks.top_k`, if already computed.

    Raises:
        InputError: as in `ranks.top_k`, or `groups` has another length.
    """
    queries, candidates = np.asarray(queries, np.float32), np.asarray(candidates, np.float32)
    top = top_k(queries, candidates, k) if top is None else top[:, :k]

    def scores(members: Array, union: Array) -> Array:
        # einsum sums all products in the same order, so equal candidates tie; BLAS may round them differently
        found: Array = np.einsum("gqd,gcd->gqc", queries[members], candidates[union])
        return found

    return _mean_agreement(groups, top, scores, queries.shape[1])


def mrc_of_scores(scores: Array, groups: Array, top: Array) -> Floats:
    """`mrc_at` from a matrix of scores (Q, N) and the positions of each query's best, integers (Q, k)."""
    return _mean_agreement(groups, top, lambda members, union: scores[members[:, :, None], union[:, None, :]], 1)


def _mean_agreement(groups: Array, top: Array, scores: Callable[[Array, Array], Array], width_of_one: int) -> Floats:
    """Mean rho (Q,) of each query with the others of its group.

    Args:
        groups: integers (Q,).
        top: integers (Q, k).
        scores: function from queries (groups, m) and candidates (groups, n) to scores (groups, m, n).
        width_of_one: numbers in memory per score while it is computed.
    """
    if groups.shape != (len(top),):
        raise InputError(f"groups has shape {groups.shape}; expected one for each of {len(top)} queries")
    values = np.full(len(top), np.nan)
    order = np.argsort(groups, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(groups[order])) + 1)
    sizes = np.diff(np.append(starts, len(order)))
    for m in sorted(set(sizes[sizes > 1].tolist())):
        alike = order[starts[sizes == m][:, None] + np.arange(m)]  # (groups of m queries, m)
        width = m * top.shape[1]  # largest possible union
        step = max(1, min(_ENTRIES // (m * m // 2 * width), _NUMBERS // (width * width_of_one)))
        for first in range(0, len(alike), step):
            members = alike[first : first + step]
            values[members] = _agreement(partial(scores, members), top[members])
    return values


def _agreement(scores_of: Callable[[Array], Array], top: Array) -> Floats:
    """Mean rho (groups, m) of each query with the others of its group.

    Args:
        scores_of: function from candidates (groups, n) to the queries' scores (groups, m, n).
        top: positions of the queries' best candidates, integers (groups, m, k).
    """
    count, m, k = top.shape
    flat = top.reshape(count, m * k)
    order = np.argsort(flat, axis=1)
    ascending = np.take_along_axis(flat, order, axis=1)
    fresh = np.diff(ascending, axis=1, prepend=ascending[:, :1]) > 0
    place = np.cumsum(fresh, axis=1, dtype=np.int64)  # index in the union
    union = np.repeat(ascending[:, -1:], place[:, -1].max() + 1, axis=1)  # padded with its last member
    np.put_along_axis(union, place, ascending, axis=1)
    column = np.empty_like(place)
    np.put_along_axis(column, order, place, axis=1)
    near = np.zeros((count, m, union.shape[1]), np.bool_)
    np.put_along_axis(near, column.reshape(top.shape), True, axis=2)
    scores = scores_of(union)
    a, b = np.triu_indices(m, 1)
    tops = column.reshape(top.shape)
    both = np.concatenate((tops[:, a], tops[:, b]), axis=2)  # union indices of a pair's candidates: (groups, pairs, 2k)
    group = np.arange(count)[:, None, None]
    kept = np.ones(both.shape, np.bool_)
    kept[:, :, k:] = ~near[group, a[:, None], both[:, :, k:]]  # count each candidate once
    x, y = (scores[group, part[:, None], both].reshape(-1, 2 * k) for part in (a, b))
    rho = _spearman(x, y, kept.reshape(x.shape)).reshape(count, -1)
    known, found = ~np.isnan(rho), np.nan_to_num(rho)
    of_query = (np.arange(m) == a[:, None]) | (np.arange(m) == b[:, None])  # (pairs, m)
    return _divide(found @ of_query, known.astype(float) @ of_query)


def peer_at(offsets: Array, ranks: Array, gold_langs: Array, k: int) -> Floats:
    """PEER@k over R_q: p-value of ranks not depending on language (Yang et al., SIGIR 2024, 3626772.3657943).

    Kruskal-Wallis test, corrected for ties (chi-squared approximation). Relevant candidates beyond k share
    the mean of the remaining ranks; if all are beyond k, p is 1. With one relevant candidate per language, p is
    a constant (.4405 for 11 languages) whatever the ranking, so such queries get NaN, as do those whose R_q is in a
    single language. The authors' `peer_measure` computes H from list ranks, not from ranks within R_q.

    Raises:
        InputError: no query has two relevant candidates in one of its languages.
    """
    from scipy.special import chdtrc

    query, queries = query_of(offsets), len(offsets) - 1
    both = np.stack((query, gold_langs))
    pairs, cell, size = np.unique(both, axis=1, return_inverse=True, return_counts=True)
    cell = cell.ravel()  # NumPy 2.0 returns it with the axes of the input
    if not (size > 1).any():
        raise InputError("PEER is constant here: no query has two relevant candidates in a language; omit it")
    score = _centred(query, _average_ranks(query, np.minimum(ranks, k + 1)), queries)
    between = np.bincount(pairs[0], np.bincount(cell, score) ** 2 / size, queries)
    within_all = np.bincount(query, score**2, queries)
    n, languages = np.diff(offsets), np.bincount(pairs[0], minlength=queries)
    h = np.where(within_all > 0, _divide((n - 1) * between, within_all), 0.0)
    p = chdtrc(np.maximum(languages - 1, 1), h)
    return np.where((languages > 1) & (n > languages), p, np.nan)


def _several(offsets: Array, values: Array) -> Floats:
    return np.where(np.diff(offsets) > 1, values, np.nan)


def _divide(a: Array, b: Array) -> Floats:
    ratio: Floats = np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0)
    return ratio


def _average_ranks(segment: Array, values: Array) -> Floats:
    """Ascending ranks within segments with ties averaged; each segment is offset by a constant."""
    order = np.lexsort((values, segment))
    steps = (np.diff(segment[order]) != 0) | (np.diff(values[order]) != 0)
    tie = np.append(0, np.cumsum(steps))[: len(values)]
    ranks = np.empty(len(values))
    ranks[order] = (np.bincount(tie, np.arange(len(tie))) / np.bincount(tie))[tie]
    return ranks


def _centred(segment: Array, values: Array, segments: int) -> Floats:
    mean = _divide(np.bincount(segment, values, segments), np.bincount(segment, minlength=segments))
    centred: Floats = values - mean[segment]
    return centred


def _spearman(x: Array, y: Array, kept: Array) -> Floats:
    """Spearman's rho over the kept entries of each row, (rows,); NaN if x or y is constant there."""
    n = kept.sum(axis=1, keepdims=True)
    x, y = (np.where(kept, _row_ranks(values, kept), 0.0) for values in (x, y))
    x, y = (np.where(kept, ranks - ranks.sum(axis=1, keepdims=True) / n, 0.0) for ranks in (x, y))
    xy, xx, yy = (np.einsum("rc,rc->r", *both) for both in ((x, y), (x, x), (y, y)))
    return _divide(xy, np.sqrt(xx * yy))


def _row_ranks(values: Array, kept: Array) -> Floats:
    """Ascending ranks of the kept entries within each row with ties averaged; each row is offset by a constant."""
    values = np.where(kept, values, np.inf)
    order = np.argsort(values, axis=1)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, values.shape[1] + 1)[None], axis=1)
    ascending = np.take_along_axis(values, order, axis=1)
    tied = np.flatnonzero(((ascending[:, 1:] == ascending[:, :-1]) & np.isfinite(ascending[:, 1:])).any(axis=1))
    if len(tied):
        row, column = np.nonzero(kept[tied])
        ranks[tied[row], column] = _average_ranks(row, values[tied][row, column])
    return ranks
