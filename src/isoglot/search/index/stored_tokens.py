"""Stored token vectors of an index's passages, which late interaction reads instead of encoding the passages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from isoglot.core.lru_cache import Recent
from isoglot.encoders.quantised_tokens import QuantisedTokens
from isoglot.search.index.passages_table import TOKENS, quoted

_KEPT = 128 * 2**20  # bytes of token vectors to cache
_PLACES = 100_000  # passages whose row id is cached


@runtime_checkable
class KeepsTokens(Protocol):
    """Optional interface of indexes that store the token vectors of their passages."""

    def tokens(self, ids: Sequence[str]) -> list[QuantisedTokens] | None:
        """Return token vectors of passages by id, in this order; None if any is missing or the index stores none."""


def to_column(texts: Sequence[QuantisedTokens]) -> pa.Array[Any]:
    """Return a column with one binary value of token vectors per text."""
    return pa.array([text.tobytes() for text in texts], pa.large_binary())


class StoredTokens:
    """Token vectors from one version of a table, with a cache of recent ones; safe to share between threads.

    Args:
        table: with the columns `id` and `tokens`.
        dimension: of a token's vector.
    """

    def __init__(self, table: Any, dimension: int) -> None:
        self._table, self._dimension = table, dimension
        self._rows = Recent[str, int](_PLACES)
        self._kept = Recent[str, QuantisedTokens](_KEPT, lambda tokens: tokens.nbytes)

    def note(self, ids: Iterable[Any], rows: Iterable[Any]) -> None:
        """Remember the rows of passages by id, as looking up an id reads all of them."""
        for id, row in zip(ids, rows, strict=True):
            self._rows[id] = row

    def of(self, ids: Sequence[str]) -> list[QuantisedTokens] | None:
        """Return token vectors (n, d) of passages by id, in this order; None if any is missing or has none."""
        found = {id: self._kept.get(id) for id in ids}
        missing = [id for id, tokens in found.items() if tokens is None]
        if missing:
            self._find([id for id in missing if self._rows.get(id) is None])
            rows = [row for id in missing if (row := self._rows.get(id)) is not None]
            read = self._table.take_row_ids(rows).select(["id", TOKENS]).to_arrow() if rows else None
            for id, value in zip(*(read[name].to_pylist() for name in ("id", TOKENS)), strict=True) if read else ():
                if value:
                    found[id] = self._kept[id] = np.frombuffer(value, np.int8).reshape(-1, self._dimension)
        tokens = [one for id in ids if (one := found[id]) is not None]
        return tokens if len(tokens) == len(ids) else None

    def _find(self, ids: Sequence[str]) -> None:
        if ids:
            condition = f"id IN ({', '.join(map(quoted, ids))})"
            table = self._table.search().where(condition).limit(len(ids)).select(["id"]).with_row_id(True).to_arrow()
            self.note(table["id"].to_pylist(), table["_rowid"].to_pylist())
