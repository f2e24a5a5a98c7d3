"""The token vectors that an index keeps of its passages, for late interaction to read instead of making them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from isoglot.core.recent import Recent
from isoglot.encoders.kept_tokens import KeptTokens
from isoglot.search.index.passages_table import TOKENS, quoted

_KEPT = 128 * 2**20  # bytes of tokens in memory
_PLACES = 100_000  # passages whose row is known


@runtime_checkable
class KeepsTokens(Protocol):
    """What an index may have besides: the tokens of its passages."""

    def tokens(self, ids: Sequence[str]) -> list[KeptTokens] | None:
        """Those of passages by id, in this order; None where the index keeps none, or one of them is not there."""


def to_column(texts: Sequence[KeptTokens]) -> pa.Array[Any]:
    """Tokens of texts as a column, a value a text."""
    return pa.array([text.tobytes() for text in texts], pa.large_binary())


class StoredTokens:
    """Tokens out of a table of one version; those read last stay in memory. Threads may share one.

    Args:
        table: with the columns `id` and `tokens`.
        dimension: of a token's vector.
    """

    def __init__(self, table: Any, dimension: int) -> None:
        self._table, self._dimension = table, dimension
        self._rows = Recent[str, int](_PLACES)
        self._kept = Recent[str, KeptTokens](_KEPT, lambda tokens: tokens.nbytes)

    def note(self, ids: Iterable[Any], rows: Iterable[Any]) -> None:
        """Remember in which rows passages stand, by id: looking for ids reads all of them."""
        for id, row in zip(ids, rows, strict=True):
            self._rows[id] = row

    def of(self, ids: Sequence[str]) -> list[KeptTokens] | None:
        """Tokens (n, d) of passages by id, in this order; None where one of them is not there, or has none."""
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
