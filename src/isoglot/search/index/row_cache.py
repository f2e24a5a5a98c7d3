"""Rows of a table by id, with a cache of recent ones, since a fetch takes longer than a search."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from isoglot.core.lru_cache import Recent

MOST_BYTES = 32 * 2**20
_ROW = 200  # bytes of a row besides its texts

Row = tuple[str, ...]


class Fetched:
    """Text columns of one version of a table, cached; safe to share between threads.

    Args:
        table: to fetch from.
        columns: to fetch.
        most: bytes of rows to cache at most.
    """

    def __init__(self, table: Any, columns: Sequence[str], *, most: int = MOST_BYTES) -> None:
        self._table, self._columns = table, list(columns)
        self._kept = Recent[int, Row](most, size)

    def rows(self, ids: Sequence[int]) -> list[Row]:
        """Return the columns of these rows, in this order.

        Args:
            ids: Lance row ids.
        """
        kept = {id: self._kept.get(id) for id in ids}
        rows = {id: row for id, row in kept.items() if row is not None}
        missing = [id for id in kept if id not in rows]
        if missing:
            found = self._table.take_row_ids(missing).select(self._columns).with_row_id().to_arrow()
            # They are returned in the order of the table.
            columns = [found[name].to_pylist() for name in ("_rowid", *self._columns)]
            for id, *row in zip(*columns, strict=True):
                rows[id] = self._kept[id] = tuple(map(str, row))
        return [rows[id] for id in ids]


def size(row: Row) -> int:
    """Return the bytes that a row takes."""
    return _ROW + sum(map(sys.getsizeof, row))
