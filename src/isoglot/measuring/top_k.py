"""The best passages of each query: maintained block by block, and merged from separate searches."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.encoders.embedder import Vectors
from isoglot.measuring.ranks import score_blocks


class Best(NamedTuple):
    """The best passages of each query, best first.

    Attributes:
        positions: positions in the corpus in reading order, int64 (Q, k); -1 for empty places.
        scores: float32 (Q, k); in empty places the score that a passage has to exceed.
        langs: language numbers, int16 (Q, k); -1 for empty places.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    langs: NDArray[np.int16]

    def rows(self, queries: NDArray[np.int64]) -> Best:
        """Those of some queries, in the order given."""
        return Best(self.positions[queries], self.scores[queries], self.langs[queries])


class Part(NamedTuple):
    """Consecutive passages: position of the first, unit vectors (n, d), and language numbers (n,)."""

    start: int
    vectors: Vectors
    langs: NDArray[np.int16]


class Several(NamedTuple):
    """The best passages of each query among some of the corpus, concatenated over queries.

    Attributes:
        counts: passages per query, int64 (Q,).
        positions: int64 (sum of counts,), best first within a query.
        scores: float32, same length.
        langs: int16, same length.
    """

    counts: NDArray[np.int64]
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]
    langs: NDArray[np.int16]


def nothing_yet(queries: int, depth: int) -> Best:
    """An empty `Best` that accepts any score."""
    return above(np.full(queries, -np.inf, np.float32), depth)


def above(floors: NDArray[np.float32], depth: int) -> Best:
    """An empty `Best` that accepts only scores above a floor per query, float32 (Q,)."""
    shape = (len(floors), depth)
    scores = np.repeat(floors[:, None], depth, axis=1)
    return Best(np.full(shape, -1, np.int64), scores, np.full(shape, -1, np.int16))


def floors_of(best: Best) -> NDArray[np.float32]:
    """Floors for `above`, float32 (Q,): passages at or below them cannot be among the best.

    A floor lies just below the worst kept score, since of equal scores the one first in reading order wins, and
    another worker may find it later.
    """
    return np.nextafter(best.scores[:, -1], np.float32(-np.inf))


def search_part(
    queries: Vectors, query_lang: NDArray[np.int16], part: Part, own: Best, pooled: Best, memory: int
) -> None:
    """Update the best passages of each query, in its own language and in all languages, with a part of the corpus.

    Args:
        queries: float32 (Q, d), unit length.
        query_lang: language numbers, int16 (Q,).
        part: the passages.
        own: best among passages in the query's language; updated in place.
        pooled: best among all passages, or `own` itself if there is only one language; updated in place.
        memory: bytes for a block of passages and its scores.
    """
    # A passage takes two vectors (as read, and padded for the product) and a score for each of 128 queries.
    rows = max(1, memory // 2 // (8 * queries.shape[1] + 512))
    for first in range(0, len(part.vectors), rows):
        some = slice(first, first + rows)
        block = Part(part.start + first, part.vectors[some], part.langs[some])
        _search(queries, query_lang, block, own, pooled, memory // 2)


def found_in(best: Best) -> Several:
    """The passages in a `Best`, without its empty places."""
    there = best.positions >= 0
    return Several(there.sum(axis=1), best.positions[there], best.scores[there], best.langs[there])


def merge(best: Best, more: Several) -> None:
    """Merge the passages found by another search into `best`, in place.

    They are ordered by score, then position: the order of a single search over everything, whatever the order of
    merging.
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
    """Insert the passages that beat the worst of a query's best; of equal scores the earlier one is kept."""
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
