"""Rows of a table by their ids; those fetched last stay in memory, since a fetch takes longer than a search."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

MOST_BYTES = 32 * 2**20
_ROW = 200  # bytes that a row takes besides its texts

Row = tuple[str, ...]


class Fetched:
    """Columns of texts, of a table of one version; threads may share one.

    Args:
        table: to fetch from.
        columns: to fetch.
        most: bytes of rows that are kept.
    """

    def __init__(self, table: Any, columns: Sequence[str], *, most: int = MOST_BYTES) -> None:
        self._table, self._columns, self._most = table, list(columns), most
        self._kept: OrderedDict[int, Row] = OrderedDict()
        self._bytes = 0
        self._changing = threading.Lock()

    def rows(self, ids: Sequence[int]) -> list[Row]:
        """The columns of these rows, in this order.

        Args:
            ids: as the table numbers its rows.
        """
        rows: dict[int, Row] = {}
        with self._changing:
            for id in ids:
                if id in self._kept:
                    self._kept.move_to_end(id)
                    rows[id] = self._kept[id]
        missing = [id for id in dict.fromkeys(ids) if id not in rows]
        if missing:
            found = self._table.take_row_ids(missing).select(self._columns).with_row_id().to_arrow()
            # They come in the order of the table.
            columns = [found[name].to_pylist() for name in ("_rowid", *self._columns)]
            fetched = {id: tuple(map(str, row)) for id, *row in zip(*columns, strict=True)}
            rows |= fetched
            self._keep(fetched)
        return [rows[id] for id in ids]

    def _keep(self, fetched: dict[int, Row]) -> None:
        with self._changing:
            for id, row in fetched.items():
                if id not in self._kept:
                    self._kept[id] = row
                    self._bytes += size(row)
            while self._bytes > self._most:
                self._bytes -= size(self._kept.popitem(last=False)[1])


def size(row: Row) -> int:
    """Bytes that a row takes."""
    return _ROW + sum(map(sys.getsizeof, row))
