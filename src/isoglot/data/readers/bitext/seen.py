"""Remember which texts have occurred, in eight bytes each."""

from __future__ import annotations

import hashlib

import numpy as np

_MERGED = 1 << 19  # recent digests kept as Python integers before they are merged into the array


class Seen:
    """A set for hundreds of millions of texts: a sorted array of 64-bit digests, and a plain set of the latest ones."""

    def __init__(self) -> None:
        self._old = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    def add(self, text: str) -> bool:
        """Add a text; return whether it was new."""
        key = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
        if key in self._recent:
            return False
        place = int(np.searchsorted(self._old, np.uint64(key)))
        if place < len(self._old) and int(self._old[place]) == key:
            return False
        self._recent.add(key)
        if len(self._recent) >= _MERGED:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._old = np.sort(np.concatenate([self._old, recent]))
            self._recent.clear()
        return True

    def __len__(self) -> int:
        return len(self._old) + len(self._recent)
