"""Endless walks through one stratum of rows, in a random order that takes little or no memory."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from isoglot.data.row_table import RowTable

Rows = NDArray[np.int64]
_CHUNK = 1024


class Stream:
    """Endless passes through one stratum as (query row, passage row) pairs, each pass in a new random order."""

    def __init__(
        self,
        size: int,
        key: tuple[int, ...],
        resolve: Callable[[Rows, tuple[int, ...]], tuple[Rows, Rows]],
        table: RowTable,
    ) -> None:
        self._size, self._key, self._resolve = size, key, resolve
        self._component, self._group = table.component, table.group
        self._pass = self._at = 0
        self._order = keyed_permutation(size, (*key, 0))
        empty = np.empty(0, dtype=np.int64)
        self._queries, self._passages, self._components = empty, empty, empty

    def take(self, count: int) -> tuple[Rows, Rows]:
        """Return the next `count` pairs with all different components; skipped pairs come first in the next call."""
        while len(self._components) < count:
            self._refill(count)
        if len(np.unique(self._components[:count])) == count:
            # The usual case: the next pairs have no component in common.
            queries, passages = self._queries[:count], self._passages[:count]
            self._queries, self._passages = self._queries[count:], self._passages[count:]
            self._components = self._components[count:]
            return queries, passages
        while True:
            _, first = np.unique(self._components, return_index=True)
            if len(first) >= count:
                break
            self._refill(count)
        chosen = np.sort(first)[:count]
        queries, passages = self._queries[chosen], self._passages[chosen]
        keep = np.ones(len(self._queries), dtype=bool)
        keep[chosen] = False
        self._queries, self._passages, self._components = (
            array[keep] for array in (self._queries, self._passages, self._components)
        )
        return queries, passages

    def _refill(self, count: int) -> None:
        end = min(self._size, self._at + max(count, _CHUNK))
        items = self._order(np.arange(self._at, end, dtype=np.int64))
        queries, passages = self._resolve(items, (self._pass, self._at))
        if len(self._queries) > 2 * self._size:
            # If very many groups share one passage, they stay queued for longer than a pass: do not queue them twice.
            new = ~np.isin(self._group[queries], self._group[self._queries])
            queries, passages = queries[new], passages[new]
        self._queries = np.concatenate([self._queries, queries])
        self._passages = np.concatenate([self._passages, passages])
        self._components = np.concatenate([self._components, np.asarray(self._component[queries], dtype=np.int64)])
        self._at = end
        if end == self._size:
            self._pass, self._at = self._pass + 1, 0
            self._order = keyed_permutation(self._size, (*self._key, self._pass))


def keyed_permutation(size: int, key: tuple[int, ...]) -> Callable[[Rows], Rows]:
    """Return a random permutation of range(size) as a function; it is determined by `key`.

    Up to 2**16 items it is a shuffled array; above, a six-round Feistel network on a rectangle, with cycle walking,
    which needs no memory, so that thousands of strata with millions of groups each cost nothing to open.

    >>> order = keyed_permutation(5, (0,))
    >>> sorted(order(np.arange(5)).tolist())
    [0, 1, 2, 3, 4]
    """
    rng = np.random.default_rng(key)
    if size <= 1 << 16:
        shuffled = rng.permutation(size)
        return lambda items: shuffled[items]
    # Sides of a rectangle hardly larger than `size`, so that few values fall outside and need another round.
    height = math.isqrt(size - 1) + 1
    sides = np.array([height, -(-size // height)], dtype=np.uint64)
    salts = rng.integers(0, 1 << 63, size=6, dtype=np.uint64)

    def encipher(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        halves = [values // sides[1], values % sides[1]]
        for number, salt in enumerate(salts):
            own, other = number % 2, 1 - number % 2
            moved = halves[own] + _mix(halves[other] + salt) % sides[own]
            halves[own] = np.where(moved >= sides[own], moved - sides[own], moved)
        whole: NDArray[np.uint64] = halves[0] * sides[1] + halves[1]
        return whole

    def order(items: Rows) -> Rows:
        values = encipher(items.astype(np.uint64))
        while (outside := values >= size).any():
            values[outside] = encipher(values[outside])
        return values.astype(np.int64)

    return order


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the splitmix64 finaliser (Steele, Lea, Flood 2014) of each value; overflow is intended."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
