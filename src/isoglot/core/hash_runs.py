"""An on-disk map from hashes to places: sorted runs in files, merged as they grow in number."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np

Integers = np.ndarray[Any, np.dtype[np.int64]]

BLOCK = 512  # rows read per look-up
MERGED = 65_536  # rows read at a time from each of two runs being merged
_BITS = 1 << 28  # of a filter (32 MB) that rules out most absent hashes without reading the disk


class HashRuns:
    """Places by 64-bit hash, of which several may be equal.

    In memory are the 32 MB of a Bloom filter with one hash function, and eight bytes per 512 hashes. A run is merged
    with the one before it if that is at most twice as long, so that a look-up reads few runs and a hash is written few
    times: both about the binary logarithm of the number of hashes.

    Args:
        folder: with room for the files, which are unnamed and vanish with the object.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs: list[_Run] = []
        self._known = bytearray(_BITS // 8)

    def perhaps(self, hashes: Integers) -> Integers:
        """Return the indices of those hashes (n,) that may be present; the others certainly are not."""
        spots = hashes & (_BITS - 1)
        return np.flatnonzero(np.frombuffer(self._known, np.uint8)[spots >> 3] >> (spots & 7) & 1)

    def add(self, hashes: Integers, places: Integers) -> None:
        """Add hashes (n,), each with a place (n,).

        Raises:
            OSError: the disk is full.
        """
        spots = hashes & (_BITS - 1)
        np.bitwise_or.at(np.frombuffer(self._known, np.uint8), spots >> 3, (1 << (spots & 7)).astype(np.uint8))
        order = np.argsort(hashes)
        self._runs.append(_Run(self._folder, [np.stack([hashes[order], places[order]], axis=1)]))
        while len(self._runs) > 1 and self._runs[-2].rows <= 2 * self._runs[-1].rows:
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_Run(self._folder, _merged(older, newer)))

    def places(self, hash_: int) -> list[int]:
        """Return all places of a hash, in descending order."""
        spot = hash_ & (_BITS - 1)
        if not self._known[spot >> 3] & (1 << (spot & 7)):
            return []
        return sorted((place for run in self._runs for place in run.places(hash_)), reverse=True)


class _Run:
    """A file of rows, each a hash and a place, sorted by hash."""

    def __init__(self, folder: Path, parts: Iterable[Integers]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        finalize(self, self._file.close)
        self.rows, first = 0, list[Integers]()
        for part in parts:
            self._file.write(part.tobytes())
            first.append(part[-self.rows % BLOCK :: BLOCK, 0].copy())  # of each block; a view would keep all of `part`
            self.rows += len(part)
        self._file.flush()
        self._first = np.concatenate(first)

    def read(self, start: int, stop: int) -> Integers:
        """Return rows (n, 2), as far as they exist."""
        self._file.seek(16 * start)
        return np.frombuffer(self._file.read(16 * (stop - start)), np.int64).reshape(-1, 2)

    def places(self, hash_: int) -> list[int]:
        """Return the places of one hash; equal hashes may span several blocks."""
        start = max(1, int(np.searchsorted(self._first, hash_))) - 1
        stop = int(np.searchsorted(self._first, hash_, "right"))
        rows = self.read(start * BLOCK, stop * BLOCK)
        found: list[int] = rows[rows[:, 0] == hash_, 1].tolist()
        return found


def _merged(one: _Run, other: _Run) -> Iterator[Integers]:
    start = [0, 0]
    while start[0] < one.rows or start[1] < other.rows:
        parts = [run.read(at, at + MERGED) for run, at in zip((one, other), start, strict=True)]
        # Up to here, no row that is still unread can come in between.
        safe = min(part[-1, 0] for part in parts if len(part))
        parts = [part[: np.searchsorted(part[:, 0], safe, "right")] for part in parts]
        start = [at + len(part) for at, part in zip(start, parts, strict=True)]
        rows = np.concatenate(parts)
        yield rows[np.argsort(rows[:, 0], kind="stable")]
