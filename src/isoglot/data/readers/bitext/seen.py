"""Which texts were there before, in eight bytes each."""

from __future__ import annotations

import hashlib

import numpy as np

_MERGED = 1 << 19  # recent ones that are held as Python numbers


class Seen:
    """A set of texts that grows to hundreds of millions: sorted 64-bit digests, and the latest in a plain set."""

    def __init__(self) -> None:
        self._old = np.empty(0, np.uint64)
        self._recent: set[int] = set()

    def add(self, text: str) -> bool:
        """Take a text; whether it was new."""
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
