"""Ranks of the relevant candidates under exact search.

The relevant ("gold") candidates of query q are entries `offsets[q]` to `offsets[q + 1]` of a flat array. A
measure (`measures`, `language_bias`) takes `offsets` and the entries' ranks (1-based) and returns float64 (Q,): NaN
for queries without golds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLOCK_BYTES = 2**26
_ROWS, _COLUMNS, _GOLDS = 128, 2048, 16  # shape of products (see score_blocks); golds compared at a time


@dataclass(frozen=True, slots=True)
class GoldRanks:
    """Exact ranks of relevant candidates, one entry per (query, relevant candidate).

    Attributes:
        offsets: int64 (Q + 1,), CSR over queries.
        gold: int64 (G,), positions of the relevant candidates in the pool, in the order given.
        within: int32 (G,), rank (1-based) among the candidates of the gold's own language.
        pooled: int32 (G,), rank (1-based) among all candidates. From a run of limited depth, `within` and `pooled`
            are float64 and infinite for candidates that were not retrieved.
        ties: pairs of a gold and another candidate with exactly equal scores, summed over queries; a pair
            counts once, even if both are golds.
    """

    offsets: Ints
    gold: Ints
    within: Array
    pooled: Array
    ties: int


def gold_ranks(
    queries: Array,
    candidates: Array,
    candidate_langs: Array,
    offsets: Array,
    gold: Array,
    k: int = 0,
    *,
    block_bytes: int = BLOCK_BYTES,
) -> tuple[GoldRanks, NDArray[np.int32]]:
    """Rank the relevant candidates of every query among all candidates, by inner product, and find the best ones.

    rank = 1 + #(score > s) + #(score == s at a lower position), whatever `block_bytes` is.

    Args:
        queries: float32 (Q, d).
        candidates: float32 (N, d); copied if not sorted by language.
        candidate_langs: integers (N,), the language of each candidate, in any numbering.
        offsets: integers (Q + 1,), CSR over queries.
        gold: integers (G,), positions of relevant candidates, without duplicates for a query.
        k: how many of the best candidates to return; 0 for none.
        block_bytes: memory for scores (at least that of 128 queries: 512 bytes per candidate).

    Returns:
        The ranks, and the positions of the best candidates, int32 (Q, min(k, N)), as from `top_k`.

    Raises:
        InputError: shapes disagree, or a vector is not finite (the first such row is named), or scores could overflow
            float32.

    >>> pool = np.array([[1, 0], [0, 1], [0.5, 0.5]], np.float32)
    >>> r, top = gold_ranks(pool[:1], pool, np.array([0, 1, 1]), np.array([0, 2]), np.array([0, 1]), 2)
    >>> r.pooled.tolist(), r.within.tolist(), top.tolist()
    ([1, 3], [1, 2], [[0, 2]])
    """
    queries, candidates = _vectors(queries, candidates)
    order, langs = _by_language(candidate_langs, len(candidates))
    if (np.diff(order) < 0).any():
        candidates = candidates[order]
    top = np.empty((len(queries), min(k, len(candidates))), np.int32)

    def blocks() -> Iterator[tuple[int, Array]]:
        for start, scores in score_blocks(queries, candidates, block_bytes):
            if k:
                _best(scores, order, top[start : start + len(scores)])
            yield start, scores

    return _rank(blocks(), len(queries), order, langs, offsets, gold), top


def top_k_of_scores(scores: Array, k: int) -> NDArray[np.int32]:
    """`top_k` from a matrix of scores (Q, N) without NaN: positions, int32 (Q, min(k, N))."""
    top = np.empty((len(scores), min(k, scores.shape[1])), np.int32)
    _best(scores, np.arange(scores.shape[1]), top)
    return top


def gold_ranks_from_scores(scores: Array, candidate_langs: Array, offsets: Array, gold: Array) -> GoldRanks:
    """`gold_ranks` from a matrix of scores (Q, N) of any real dtype, without NaN."""
    if scores.ndim != 2 or np.isnan(scores).any():
        raise InputError(f"scores have shape {scores.shape}; expected (queries, candidates) without NaN")
    order, langs = _by_language(candidate_langs, scores.shape[1])
    blocks = ((q, scores[q : q + 1, order]) for q in range(len(scores)))
    return _rank(blocks, len(scores), order, langs, offsets, gold)


def top_k(queries: Array, candidates: Array, k: int, *, block_bytes: int = BLOCK_BYTES) -> NDArray[np.int32]:
    """Positions of the best candidates of every query, int32 (Q, min(k, N)), scored and ordered as in `gold_ranks`.

    Raises:
        InputError: k < 1 or no candidates, shapes that disagree, or a vector that is not finite.
    """
    return top_k_scored(queries, candidates, k, block_bytes=block_bytes)[0]


def top_k_scored(
    queries: Array, candidates: Array, k: int, *, block_bytes: int = BLOCK_BYTES
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """`top_k` together with the scores, float32 (Q, min(k, N))."""
    queries, candidates = _vectors(queries, candidates)
    n = len(candidates)
    if min(k, n) < 1:
        raise InputError(f"cannot take the best {k} of {n} candidates; both must be at least 1")
    top = np.empty((len(queries), min(k, n)), np.int32)
    best = np.empty(top.shape, np.float32)
    for start, scores in score_blocks(queries, candidates, block_bytes):
        own = slice(start, start + len(scores))
        _best(scores, np.arange(n), top[own])
        best[own] = np.take_along_axis(scores, top[own], axis=1)
    return top, best


def select(ranks: GoldRanks, keep: NDArray[np.bool_]) -> GoldRanks:
    """Keep the golds selected by `keep` (bool (G,)); all queries remain, and `ties` still counts every gold."""
    if keep.shape != ranks.gold.shape or keep.dtype != np.bool_:
        raise InputError(f"keep is {keep.dtype} {keep.shape}; expected bool {ranks.gold.shape}")
    offsets = np.append(0, np.cumsum(keep))[ranks.offsets]
    return GoldRanks(offsets, ranks.gold[keep], ranks.within[keep], ranks.pooled[keep], ranks.ties)


def query_of(offsets: Array) -> Ints:
    """The query of every entry, int64 (G,)."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def distinct(values: Array) -> int:
    """The number of distinct values (`np.unique` would import `numpy.ma`, which takes longer than a search)."""
    ascending = np.sort(values)
    return int(np.count_nonzero(ascending[1:] != ascending[:-1])) + bool(len(values))


def _vectors(queries: Array, candidates: Array) -> tuple[Array, Array]:
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
        raise InputError(f"vectors are {queries.shape} and {candidates.shape}; expected (Q, d) and (N, d)")
    queries, candidates = (np.ascontiguousarray(v, np.float32) for v in (queries, candidates))
    bound = float(queries.shape[1])  # upper bound of any score
    for name, vectors in (("query", queries), ("candidate", candidates)):
        largest = np.abs(vectors).max(axis=1, initial=0)
        bad = np.flatnonzero(~np.isfinite(largest))
        if len(bad):
            raise InputError(f"{name} vector {bad[0]} holds NaN or infinity ({len(bad)} such); encode again")
        bound *= float(largest.max(initial=0))
    if bound > 3e38:
        raise InputError(f"scores may reach {bound:.0e}, beyond float32; normalise the vectors")
    return queries, candidates


def _by_language(candidate_langs: Array, n: int) -> tuple[Ints, Array]:
    if candidate_langs.shape != (n,):
        raise InputError(f"candidate_langs has shape {candidate_langs.shape}; expected ({n},)")
    order = np.argsort(candidate_langs, kind="stable")
    return order, candidate_langs[order]


def score_blocks(queries: Array, candidates: Array, block_bytes: int) -> Iterator[tuple[int, Array]]:
    """Yield (first query, scores (rows, N)); the next block overwrites the array.

    BLAS uses different kernels, which round differently, for small matrices and at the edges of large ones. So there
    are only two shapes of product: 128 queries by the largest multiple of 2048 candidates, and 128 queries by the
    remaining candidates zero-padded to 2048. A score then does not depend on the block size (given the same BLAS and
    number of threads). Some kernels (those for AVX2) also round depending on a candidate's position, so duplicate
    vectors get the score of the first one, and tie. Smaller products are slow when other processes compete for the
    cores.
    """
    n, d = candidates.shape
    again, first = _repeated(candidates)
    whole = n // _COLUMNS * _COLUMNS
    rest = np.pad(candidates[whole:], ((0, whole + _COLUMNS - n), (0, 0)))
    rows = max(1, min(block_bytes // (4 * (whole + _COLUMNS)), len(queries) + _ROWS - 1) // _ROWS) * _ROWS
    scores = np.empty((rows, whole + _COLUMNS), np.float32)
    for start in range(0, len(queries), rows):
        size = min(rows, len(queries) - start)
        for row in range(0, size, _ROWS):
            part = np.zeros((_ROWS, d), np.float32)
            part[: size - row] = queries[start + row : start + size][:_ROWS]
            np.matmul(part, candidates[:whole].T, out=scores[row : row + _ROWS, :whole])
            np.matmul(part, rest.T, out=scores[row : row + _ROWS, whole:])
        if len(again):
            scores[:size, again] = scores[:size, first]
        yield start, scores[:size, :n]


def _repeated(vectors: Array) -> tuple[Ints, Ints]:
    """Positions of vectors (N, d) that duplicate an earlier one, and for each the first position of that vector."""
    factors = np.random.default_rng(0).integers(0, 2**63, vectors.shape[1], np.uint64) | np.uint64(1)
    sums = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), _COLUMNS):
        part = vectors[start : start + _COLUMNS] + np.float32(0)  # -0 becomes +0: equal vectors, equal bits
        sums[start : start + _COLUMNS] = part.view(np.uint32).astype(np.uint64) @ factors
    order = np.argsort(sums, kind="stable")
    fresh = np.ones(len(order), bool)
    fresh[1:] = sums[order][1:] != sums[order][:-1]
    first = order[np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))]
    again, first = order[~fresh], first[~fresh]
    equal = np.ones(len(again), bool)
    for start in range(0, len(again), _COLUMNS):
        own = slice(start, start + _COLUMNS)
        equal[own] = (vectors[again[own]] == vectors[first[own]]).all(axis=1)
    return again[equal], first[equal]


def _best(scores: Array, order: Ints, top: NDArray[np.int32]) -> None:
    """Fill `top` (rows, k) with the best candidates of each row; column c is candidate order[c]."""
    n, k = scores.shape[1], top.shape[1]
    parts = min(64, n // k)  # the k-th best maximum of disjoint parts bounds the k-th best score from below
    width = n // parts
    for start in range(0, len(scores), _ROWS // 4):  # few enough rows to fit the CPU cache
        some = scores[start : start + _ROWS // 4]
        maxima = some[:, : parts * width].reshape(len(some), parts, width).max(axis=1)
        bound = np.partition(maxima, width - k, axis=1)[:, width - k, None]
        row, column = np.divmod(np.flatnonzero(some >= bound), n)
        found = order[column]
        ranked = np.lexsort((found, -some[row, column], row))
        first = np.searchsorted(row, np.arange(len(some)))
        top[start : start + len(some)] = found[ranked[first[:, None] + np.arange(k)]]


def _rank(
    blocks: Iterator[tuple[int, Array]], queries: int, order: Ints, langs: Array, offsets: Array, gold: Array
) -> GoldRanks:
    """Rank golds from blocks of scores whose columns are the candidates in `order`: by language, then position."""
    offsets, gold = np.asarray(offsets, np.int64), np.asarray(gold, np.int64)
    column = _columns(offsets, gold, queries, order)
    left, right = (np.searchsorted(langs, langs[column], side) for side in ("left", "right"))
    within, pooled = np.empty(len(gold), np.int32), np.empty(len(gold), np.int32)
    buffer, ties = np.empty((_GOLDS, len(order)), np.bool_), 0
    for start, scores in blocks:
        for q, row in enumerate(scores, start):
            for first in range(offsets[q], offsets[q + 1], _GOLDS):
                entries = range(first, min(first + _GOLDS, int(offsets[q + 1])))
                own = row[column[first : entries.stop], None]
                mask = np.greater(row, own, out=buffer[: len(entries)])
                for e, above in zip(entries, mask, strict=True):
                    pooled[e] = 1 + np.count_nonzero(above)
                    within[e] = 1 + np.count_nonzero(above[left[e] : right[e]])
                np.equal(row, own, out=mask)
                if np.count_nonzero(mask) == len(entries):
                    continue
                for e, equal in zip(entries, mask, strict=True):
                    others = order[equal]
                    pooled[e] += (others < gold[e]).sum()
                    within[e] += ((others < gold[e]) & (langs[equal] == langs[column[e]])).sum()
                    ties += len(others) - 1 - int(np.isin(others, gold[offsets[q] : e]).sum())
    return GoldRanks(offsets, gold, within, pooled, ties)


def _columns(offsets: Ints, gold: Ints, queries: int, order: Ints) -> Ints:
    """Check offsets and positions, and return the column of each gold among the candidates in `order`."""
    n, steps = len(order), np.diff(offsets)
    if len(steps) != queries or offsets[0] != 0 or offsets[-1] != len(gold) or (steps < 0).any():
        raise InputError(f"offsets must rise from 0 to {len(gold)} in {queries} steps, one for each query")
    if len(gold) and not 0 <= gold.min() <= gold.max() < n:
        raise InputError(f"gold positions lie in {gold.min()}..{gold.max()}; the pool has 0..{n - 1}")
    if distinct(query_of(offsets) * n + gold) < len(gold):
        raise InputError("a candidate is given twice as relevant to one query; list it once")
    return np.argsort(order)[gold].astype(np.int64)
