"""Passages that are not known to answer a query, and those among them that an encoder finds nearest to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.data.prepared import Prepared
from isoglot.encoders.embedder import Vectors
from isoglot.measuring.ranks import BLOCK_BYTES


def distinct_passages(rows: Prepared) -> NDArray[np.int64]:
    """Return the number of one row for each distinct (language, passage), ascending."""
    first: dict[tuple[int, str], int] = {}  # numpy would pad all texts to the length of the longest
    for row, key in enumerate(zip(rows.table.lang.tolist(), rows.passages(), strict=True)):
        first.setdefault(key, row)
    return np.fromiter(first.values(), np.int64, len(first))


def nearest_others(
    queries: Vectors,
    passages: Vectors,
    components: NDArray[Any],
    asked: NDArray[np.int64],
    pool: NDArray[np.int64],
    count: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
    """Yield for each given query the `count` nearest rows of a pool from other components, best first, with cosines.

    Args:
        queries: unit vectors (rows, d).
        passages: unit vectors (rows, d).
        components: (rows,) component of each row.
        asked: numbers of the rows whose queries to search with.
        pool: numbers of the rows whose passages to search.
        count: maximum number of rows per query.
        block_bytes: memory for cosines at a time.
    """
    candidates, theirs = passages[pool], components[pool]
    block = max(1, block_bytes // (4 * max(1, len(pool))))
    for start in range(0, len(asked), block):
        part = asked[start : start + block]
        scores = queries[part] @ candidates.T
        scores[components[part, None] == theirs] = -np.inf
        for row in scores:
            best = np.argpartition(-row, count)[:count] if count < len(row) else np.arange(len(row))
            best = best[np.lexsort((best, -row[best]))]
            best = best[np.isfinite(row[best])]
            yield pool[best], row[best]
