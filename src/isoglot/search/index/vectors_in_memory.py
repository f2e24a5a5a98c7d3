"""Exact search in vectors kept in memory, since Lance reads and decodes all of them at every search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from isoglot.core.lru_cache import Recent
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.unit_vectors import units
from isoglot.search.index.best_rows import best_rows
from isoglot.search.index.protocol import Near
from isoglot.search.index.stored_vectors import to_matrix

MOST_BYTES = 256 * 2**20
CONDITIONS = 256  # filter results to cache, one bit per passage each
_BATCH = 8192

Rows = NDArray[np.int64]
Ids = NDArray[np.uint64]


def fits(passages: int, dimension: int) -> bool:
    """Return whether the vectors of so many passages, as float32, fit into the memory allowed for them."""
    return passages * dimension * np.dtype(np.float32).itemsize <= MOST_BYTES


class Resident:
    """The vectors and languages of a table, read once; safe to share between threads.

    Args:
        table: one version of a table, with `vector` and `lang`.
        passages: number of rows in it.
    """

    def __init__(self, table: Any, passages: int) -> None:
        self._table = table
        self._codes: dict[str, int] = {}
        # Batches are kept as they are read, without a copy if float32: a copy would be a good part of the first search.
        self._parts: list[Vectors] = []
        lengths: list[Vectors] = [np.empty(0, np.float32)]
        ids: list[Ids] = [np.empty(0, np.uint64)]
        langs: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
        scan = table.search().select(["lang", "vector"]).with_row_id(True).limit(passages)
        for batch in scan.to_batches(_BATCH):
            if len(batch):
                matrix = to_matrix(batch)
                self._parts.append(matrix)
                lengths.append(np.sqrt(np.einsum("ij,ij->i", matrix, matrix)))
                ids.append(batch["_rowid"].to_numpy())
                langs.append(self._coded(batch["lang"]))
        self._lengths = np.maximum(np.concatenate(lengths), 1e-12)
        self._ids, self._langs = np.concatenate(ids), np.concatenate(langs)
        # Compaction may leave row ids out of order.
        self._by_id = np.argsort(self._ids, kind="stable")
        self._conditions = Recent[str, NDArray[np.uint8]](CONDITIONS)

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None, condition: str | None
    ) -> tuple[Ids, Vectors]:
        """Return the k passages of highest cosine, best first; ties in the order of the table.

        Args:
            vector: (d,), of any length.
            k: how many.
            langs: languages to search; all when None.
            condition: SQL condition that passages must meet; None for all.

        Returns:
            Their row ids, and their cosines.
        """
        rows, cosines = self._best(self._scores(vector), k, self._among(langs, condition))
        return self._ids[rows], cosines

    def nearest_vectors(self, vector: Vectors, k: int, condition: str | None) -> Near:
        """Return the vectors, at unit length, of what `nearest` finds in all languages."""
        rows, cosines = self._best(self._scores(vector), k, self._among(None, condition))
        starts = np.cumsum([0, *map(len, self._parts)])
        parts = np.searchsorted(starts, rows, side="right") - 1
        found = [self._parts[part][row - starts[part]] for part, row in zip(parts, rows, strict=True)]
        return Near(units(np.array(found, np.float32).reshape(len(rows), len(vector))), cosines)

    def nearest_in_each(
        self, vector: Vectors, k: int, langs: Sequence[str], condition: str | None
    ) -> list[tuple[Ids, Vectors]]:
        """Return what `nearest` finds in each language; the vector is compared with every passage only once."""
        scores = self._scores(vector)
        each = [self._best(scores, k, self._among([lang], condition)) for lang in langs]
        return [(self._ids[rows], cosines) for rows, cosines in each]

    def _scores(self, vector: Vectors) -> Vectors:
        query = np.asarray(vector, np.float32)
        query = query / max(float(np.linalg.norm(query)), 1e-12)
        # Not a BLAS product: its sum depends on a row's position, so that identical passages would score differently,
        # and its threads spin afterwards, on cores that other searches could use.
        products = [np.einsum("ij,j->i", part, query) for part in self._parts]
        return np.asarray(np.concatenate([np.empty(0, np.float32), *products]) / self._lengths, np.float32)

    def _best(self, scores: Vectors, k: int, among: Rows | None) -> tuple[Rows, Vectors]:
        own = scores if among is None else scores[among]
        near = best_rows(own, k)
        return near if among is None else among[near], own[near]

    def _among(self, langs: Sequence[str] | None, condition: str | None) -> Rows | None:
        if langs is None and condition is None:
            return None
        mask = np.ones(len(self._ids), bool)
        if langs is not None:
            mask = np.isin(self._langs, [self._codes[lang] for lang in langs if lang in self._codes])
        if condition is not None:
            mask &= np.unpackbits(self._holding(condition), count=len(mask)).view(bool)
        return np.flatnonzero(mask)

    def _holding(self, condition: str) -> NDArray[np.uint8]:
        """Return which passages meet a condition, one bit each."""
        known = self._conditions.get(condition)
        if known is not None:
            return known
        mask = np.zeros(len(self._ids), bool)
        scan = self._table.search().select(["lang"]).with_row_id(True).where(condition).limit(len(mask))
        for batch in scan.to_batches(_BATCH):
            ids = batch["_rowid"].to_numpy()
            mask[self._by_id[np.searchsorted(self._ids, ids, sorter=self._by_id)]] = True
        bits = self._conditions[condition] = np.packbits(mask)
        return bits

    def _coded(self, langs: Any) -> NDArray[np.int32]:
        found = pc.dictionary_encode(langs)
        names = found.dictionary.to_pylist()
        codes = np.array([self._codes.setdefault(lang, len(self._codes)) for lang in names], np.int32)
        coded: NDArray[np.int32] = codes[found.indices.to_numpy()]
        return coded
