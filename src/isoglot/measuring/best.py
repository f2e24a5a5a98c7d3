"""The best passages of each query: kept block by block, and merged from searches that were made apart."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.encoders.embedder import Vectors
from isoglot.measuring.ranks import score_blocks


class Best(NamedTuple):
    """The best passages of each query, best first.

    Attributes:
        positions: in reading order, int64 (Q, k); -1 where there are fewer.
        scores: float32 (Q, k).
        langs: language numbers, int16 (Q, k); -1 where there are fewer.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    langs: NDArray[np.int16]


class Part(NamedTuple):
    """Passages that stand one after the other: where the first one stands, unit vectors (n, d), language numbers."""

    start: int
    vectors: Vectors
    langs: NDArray[np.int16]


class Several(NamedTuple):
    """The best passages of each query that a search of some passages found, end to end.

    Attributes:
        counts: of each query, int64 (Q,).
        positions: int64 (sum of counts,), best first within a query.
        scores: float32, as long.
        langs: int16, as long.
    """

    counts: NDArray[np.int64]
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    langs: NDArray[np.int16]


def nothing_yet(queries: int, depth: int) -> Best:
    """Room for the best, with nothing in it."""
    return above(np.full(queries, -np.inf, np.float32), depth)


def above(floors: NDArray[np.float32], depth: int) -> Best:
    """Room for what is better than a score of each query, float32 (Q,)."""
    shape = (len(floors), depth)
    scores = np.repeat(floors[:, None], depth, axis=1)
    return Best(np.full(shape, -1, np.int64), scores, np.full(shape, -1, np.int16))


def floors_of(best: Best) -> NDArray[np.float32]:
    """Scores that nothing can fall short of or equal and still come in, float32 (Q,).

    As good as the worst of the best is good enough: of equal scores the one that was read first stays, and it may be
    found last.
    """
    return np.nextafter(best.scores[:, -1], np.float32(-np.inf))


def search_part(
    queries: Vectors, query_lang: NDArray[np.int16], part: Part, own: Best, pooled: Best, memory: int
) -> None:
    """Put the best of some passages among the best of each query, in its own language and in all together.

    Args:
        queries: float32 (Q, d), unit length.
        query_lang: language numbers, int16 (Q,).
        part: the passages.
        own: best among passages in the query's language; changed.
        pooled: best among all passages, or `own` itself where there is one language; changed.
        memory: bytes for a block of passages and its scores.
    """
    # A passage costs its vector twice (as read, and as padded for the product) and a score for each of 128 queries.
    rows = max(1, memory // 2 // (8 * queries.shape[1] + 512))
    for first in range(0, len(part.vectors), rows):
        some = slice(first, first + rows)
        block = Part(part.start + first, part.vectors[some], part.langs[some])
        _search(queries, query_lang, block, own, pooled, memory // 2)


def found_in(best: Best) -> Several:
    """What there is among the best, without the room that is left."""
    there = best.positions >= 0
    return Several(there.sum(axis=1), best.positions[there], best.scores[there], best.langs[there])


def merge(best: Best, more: Several) -> None:
    """Put what another search found among the best.

    By score, then by position: the order of one search that reads everything, whichever search is merged first.
    """
    depth, ends = best.scores.shape[1], np.cumsum(more.counts)
    for query in np.flatnonzero(more.counts):
        new = slice(ends[query] - more.counts[query], ends[query])
        positions = np.concatenate((best.positions[query], more.positions[new]))
        scores = np.concatenate((best.scores[query], more.scores[new]))
        langs = np.concatenate((best.langs[query], more.langs[new]))
        order = np.lexsort((positions, -scores))[:depth]
        best.positions[query], best.scores[query], best.langs[query] = positions[order], scores[order], langs[order]


def _search(
    queries: Vectors, query_lang: NDArray[np.int16], block: Part, own: Best, pooled: Best, block_bytes: int
) -> None:
    everything = np.arange(len(block.vectors))
    inside = {int(lang): np.flatnonzero(block.langs == lang) for lang in np.unique(block.langs)}
    for first, scores in score_blocks(queries, block.vectors, block_bytes):
        for query, row in enumerate(scores, first):
            columns = inside.get(int(query_lang[query]))
            if columns is not None:
                _keep(own, query, row, columns, block)
            if pooled is not own:
                _keep(pooled, query, row, everything, block)


def _keep(best: Best, query: int, scores: NDArray[np.float32], columns: NDArray[np.int64], block: Part) -> None:
    """Put what beats the worst of a query's best among them; of equal scores the one that came first stays."""
    depth = best.scores.shape[1]
    own = scores if len(columns) == len(scores) else scores[columns]
    near = np.flatnonzero(own > best.scores[query, -1])
    if not len(near):
        return
    if len(near) > depth:
        near = near[own[near] >= np.partition(own[near], -depth)[-depth]]
    found = columns[near]
    order = np.argsort(-np.concatenate((best.scores[query], own[near])), kind="stable")[:depth]
    pairs: tuple[tuple[NDArray[Any], NDArray[Any]], ...] = (
        (best.positions, block.start + found),
        (best.scores, own[near]),
        (best.langs, block.langs[found]),
    )
    for kept, new in pairs:
        kept[query] = np.concatenate((kept[query], new))[order]
