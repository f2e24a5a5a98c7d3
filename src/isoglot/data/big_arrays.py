"""Arrays with one entry per row, in memory or in files, and an external sort that works on blocks of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Ints = NDArray[np.integer[Any]]

BLOCK = 1 << 20
"""The number of rows processed at a time."""
_BINS = 1 << 16


class Room:
    """The storage of arrays: memory or a folder.

    Args:
        folder: each array is a memory-mapped `.npy` file here, paged in and out by the system; None keeps arrays in
            memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def array(self, name: str, size: int, dtype: DTypeLike) -> NDArray[Any]:
        """Create an uninitialised array (size,).

        Raises:
            OSError: the disk is full. The space is reserved here, because writing to a mapped file on a full disk
                would kill the process.
        """
        if self._folder is None:
            return np.empty(size, dtype)
        path = self._folder / f"{name}.npy"
        made = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=(size,))
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
        return made

    def drop(self, name: str) -> None:
        """Delete an array's file; the array must no longer be used."""
        if self._folder is not None:
            (self._folder / f"{name}.npy").unlink()


def parts(size: int) -> Iterator[slice]:
    """Yield slices of at most `BLOCK` rows that cover `size` rows."""
    return (slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK))


def order_by(keys: Ints, out: Ints, *, start: Ints | None = None) -> Ints:
    """Return row numbers sorted by key; the sort is stable.

    Rows are first distributed into key ranges of at most `BLOCK` rows each, then each range is sorted on its own, so
    memory holds one range. A range is larger only if more rows than that share all but the lowest bits of their keys.

    Args:
        keys: (rows,) integers.
        out: (rows,) integers that receive the row numbers and are returned.
        start: (rows,) row numbers in the order to keep among equal keys; ascending if None.
    """
    size = len(keys)
    if size <= BLOCK:
        rows = np.arange(size) if start is None else np.asarray(start)
        out[:] = rows[np.argsort(keys[rows], kind="stable")]
        return out
    low = min(int(keys[part].min()) for part in parts(size))
    high = max(int(keys[part].max()) for part in parts(size))
    shift = max(0, (high - low).bit_length() - _BINS.bit_length() + 1)

    def bins(values: Ints) -> NDArray[np.int64]:
        above = values.astype(np.uint64) - np.uint64(low % (1 << 64))
        return (above >> np.uint64(shift)).astype(np.int64)

    counts = sum((np.bincount(bins(keys[part]), minlength=_BINS) for part in parts(size)), np.zeros(_BINS, np.int64))
    bucket_of, spans = _buckets(counts)
    place = [begin for begin, _ in spans]
    for part in parts(size):
        rows = np.arange(part.start, part.stop) if start is None else np.asarray(start[part])
        bucket = bucket_of[bins(keys[rows])]
        order = np.argsort(bucket, kind="stable")
        rows, bucket = rows[order], bucket[order]
        edges = [0, *(np.flatnonzero(np.diff(bucket)) + 1).tolist(), len(rows)]
        for begin, end in pairwise(edges):
            at = place[bucket[begin]]
            out[at : at + end - begin] = rows[begin:end]
            place[bucket[begin]] += end - begin
    single = np.bincount(bucket_of[counts > 0], minlength=len(spans)) == 1
    for number, (begin, end) in enumerate(spans):
        if shift or not single[number]:
            rows = np.array(out[begin:end])
            out[begin:end] = rows[np.argsort(keys[rows], kind="stable")]
    return out


def _buckets(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Merge neighbouring bins into buckets of at most `BLOCK` rows; return the bucket of each bin and all ranges."""
    bucket_of = np.zeros(len(counts), np.int64)
    spans = [(0, 0)]
    for number, count in enumerate(counts.tolist()):
        begin, end = spans[-1]
        if end > begin and end - begin + count > BLOCK:
            spans.append((end, end + count))
        else:
            spans[-1] = (begin, end + count)
        bucket_of[number] = len(spans) - 1
    return bucket_of, spans
