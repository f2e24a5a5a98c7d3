"""The stored index: a LanceDB folder with vectors, texts, languages and metadata."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.quantised_tokens import QuantisedTokens
from isoglot.languages.words import query_terms
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import column, fields_of, to_sql
from isoglot.search.filters.tree import Filter
from isoglot.search.index import scanning
from isoglot.search.index.approximate import probes_for
from isoglot.search.index.columns import add_up
from isoglot.search.index.lance_tables import PASSAGES, connect, reading, table_uri
from isoglot.search.index.manifest import Manifest, Version, read_manifest
from isoglot.search.index.passages_table import SAMPLES, SEARCHED, SHOWN, quoted
from isoglot.search.index.protocol import Found, Near, Tally
from isoglot.search.index.row_cache import Fetched, Row
from isoglot.search.index.stored_tokens import StoredTokens
from isoglot.search.index.stored_vectors import to_matrix
from isoglot.search.index.vectors_in_memory import Ids, Resident, fits
from isoglot.search.passage import Passage, in_order

_BATCH = 8192  # passages in memory


class LanceIndex:
    """A published version of an index folder, open for reading.

    Later versions may be built and published meanwhile; this object keeps reading the version it opened.

    Args:
        folder: made by `isoglot index`.

    Raises:
        InputError: there is no index, or it has another format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: Manifest = read_manifest(folder)
        try:
            self._table = self._open()
        except IsoglotError:
            # Between reading the manifest and the table, a newer version may have been published, and this one pruned.
            now = read_manifest(folder)
            if now == self.manifest:
                raise
            self.manifest = now
            self._table = self._open()
        self._version: Version = self.manifest.version
        self._samples: dict[str, Vectors] | None = None
        self._loading = threading.Lock()
        self._resident: Resident | None = None
        self._fetched = Fetched(self._table, SHOWN)
        self._tokens = StoredTokens(self._table, self.manifest.tokens) if self.manifest.tokens else None
        with self._reading():
            self._fields = fields_of(self._table.schema.names)
        # Caches the table's method, not one of self: a reference cycle would delay freeing a closed index.
        self._count: Callable[[str | None], int] = lru_cache(maxsize=1024)(self._table.count_rows)

    def _condition(self, langs: Sequence[str] | None, where: Filter | None) -> str | None:
        """Return languages and filter as an SQL condition; None for all passages."""
        parts = [] if langs is None else [among(langs)]
        if where is not None:
            parts.append(to_sql(where, self._fields))
        return " AND ".join(parts) or None

    def _open(self) -> Any:
        with reading(self.folder):
            table = connect(self.folder).open_table(PASSAGES)
            table.checkout(self.manifest.version.passages_at)
        return table

    @property
    def _stays_in_memory(self) -> bool:
        return self._version.ann is None and fits(self._version.passages, self.dimension)

    def _vectors(self) -> Resident:
        with self._loading:
            if self._resident is None:
                self._resident = Resident(self._table, self._version.passages)
            return self._resident

    def _read(self, ids: Ids, scores: Vectors) -> list[Found]:
        if not Path(table_uri(self.folder, PASSAGES)).is_dir():
            # Otherwise cached passages would still be found, until the first search that reads the disk.
            raise FileNotFoundError(self.folder)
        rows = self._fetched.rows(ids.tolist())
        if self._tokens is not None:
            self._tokens.note([key for key, *_ in rows], ids.tolist())
        return [_found_row(row, score) for row, score in zip(rows, scores.tolist(), strict=True)]

    def _noted(self, table: pa.Table, scores: Any) -> list[Found]:
        """Return the passages found, and note their row ids for reading their tokens."""
        if self._tokens is not None:
            self._tokens.note(table["id"].to_pylist(), table["_rowid"].to_pylist())
        return _found(table, scores)

    def _reading(self) -> AbstractContextManager[None]:
        if self._table is None:
            raise InputError(f"{self.folder}: the index was closed; open it again")
        return reading(self.folder, self._version.number)

    @property
    def dimension(self) -> int:
        """Number of dimensions of the vectors."""
        return self.manifest.dimension

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language, codes in alphabetical order."""
        return dict(self._version.languages)

    def fields(self) -> Fields:
        """Return the fields that filters may name."""
        return self._fields

    def nearest(
        self,
        vector: Vectors,
        k: int,
        langs: Sequence[str] | None = None,
        where: Filter | None = None,
        *,
        exact: bool = False,
    ) -> list[Found]:
        """Return the k passages of highest cosine; uses the ANN index if there is one, unless `exact`."""
        if not self._version.passages or (langs is not None and not langs):
            return []
        with self._reading():
            if self._stays_in_memory:
                return self._read(*self._vectors().nearest(vector, k, langs, self._condition(None, where)))
            return self._noted(*self._searched(vector, k, self._condition(langs, where), SHOWN, exact=exact))

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """Return the vectors of the k passages of highest cosine, found as by `nearest`."""
        if not self._version.passages:
            return Near(np.empty((0, self.dimension), np.float32), np.empty(0, np.float32))
        with self._reading():
            condition = self._condition(None, where)
            if self._stays_in_memory:
                return self._vectors().nearest_vectors(vector, k, condition)
            rows, cosines = self._searched(vector, k, condition, ["vector"])
            return Near(to_matrix(rows), np.asarray(cosines, np.float32))

    def _searched(
        self, vector: Vectors, k: int, condition: str | None, columns: list[str], *, exact: bool = False
    ) -> tuple[pa.Table, NDArray[Any]]:
        """Return the given columns of the k nearest rows on disk, and their cosines."""
        if self.manifest.numbers == "int8":
            return scanning.nearest(self._table, vector, k, columns, condition, self._version.passages)
        query = self._table.search(vector, vector_column_name="vector").distance_type("cosine").limit(k)
        if condition is not None:
            query = query.where(condition)
        ann = None if exact else self._version.ann
        if ann is None:
            query = query.bypass_vector_index()
        else:
            probes = probes_for(ann, self._version.passages, self._count(condition))
            query = query.nprobes(probes).refine_factor(ann["refine"])
        table = query.select([*columns, "_distance"]).with_row_id(True).to_arrow()
        return table, 1 - table["_distance"].to_numpy().astype(np.float64)

    def nearest_in_each(
        self, vector: Vectors, k: int, langs: Sequence[str], where: Filter | None = None
    ) -> list[list[Found]]:
        """Return what `nearest` finds in each language; vectors in memory are compared once for all languages."""
        if not self._version.passages or not self._stays_in_memory:
            return [self.nearest(vector, k, [lang], where) for lang in langs]
        with self._reading():
            near = self._vectors().nearest_in_each(vector, k, langs, self._condition(None, where))
            if not near:
                return []
            ids, scores = zip(*near, strict=True)
            found = iter(self._read(np.concatenate(ids), np.concatenate(scores)))
            return [list(islice(found, len(some))) for some in ids]

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages whose title or text match a query's words best (BM25 over `search_terms`)."""
        # LanceDB counts a word as often as the query has it, unlike other stores.
        words = " ".join(query_terms(query, signs=self.manifest.signs))
        if not self._version.passages or not words or (langs is not None and not langs):
            return []
        from lancedb.query import MultiMatchQuery

        with self._reading():
            search = self._table.search(MultiMatchQuery(words, SEARCHED), query_type="fts").limit(k)
            condition = self._condition(langs, where)
            if condition is not None:
                search = search.where(condition)
            table = search.select([*SHOWN, "_score"]).with_row_id(True).to_arrow()
            return self._noted(table, table["_score"].to_numpy().astype(np.float64))

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """Count the values of a field, in one scan of its columns."""
        columns = {kind: column(field, kind) for kind in self._fields[field] if kind != "date"}
        tally = Tally(Counter(), 0, 0)
        if not self._version.passages or (langs is not None and not langs):
            return tally
        with self._reading():
            rows = self._table.search().limit(self._version.passages).select(list(columns.values()))
            condition = self._condition(langs, where)
            for batch in (rows if condition is None else rows.where(condition)).to_batches(65_536):
                tally = add_up(tally, {kind: batch[name] for kind, name in columns.items()})
        return tally

    def sample(self, lang: str) -> Vectors:
        """Return vectors (n, d) of a random sample of a language's passages, drawn when the version was published."""
        if self._samples is None:
            with self._reading(), np.load(self.folder / SAMPLES / f"{self._version.number}.npz") as arrays:
                self._samples = {name: arrays[name] for name in arrays.files}
        return self._samples.get(lang, np.empty((0, self.dimension), np.float32))

    def document(self, document: str) -> list[Passage]:
        """Return all passages of a document, in order."""
        if not self._version.passages:
            return []
        with self._reading():
            rows = self._table.search().where(f"document = {quoted(document)}").limit(self._version.passages)
            table = rows.select(SHOWN).to_arrow()
        return in_order(found.passage for found in _found(table, [0.0] * len(table)))

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """Return a passage and its vector (d,)."""
        if not self._version.passages:
            return None
        with self._reading():
            rows = self._table.search().where(f"id = {quoted(id)}").limit(1).select([*SHOWN, "vector"]).to_arrow()
        if not len(rows):
            return None
        return _found(rows, [0.0])[0].passage, to_matrix(rows)[0]

    def tokens(self, ids: Sequence[str]) -> list[QuantisedTokens] | None:
        """Return token vectors of passages by id, in this order; None if any is missing or the index stores none."""
        if self._tokens is None or not self._version.passages:
            return None
        with self._reading():
            return self._tokens.of(ids)

    def passages(self) -> Iterator[Passage]:
        """Yield all passages in stored order, with one batch in memory at a time."""
        if not self._version.passages:
            return
        with self._reading():
            for batch in self._table.search().select(SHOWN).to_batches(_BATCH):
                yield from (found.passage for found in _found(pa.Table.from_batches([batch]), [0.0] * len(batch)))

    def batches(self, size: int = 1000) -> Iterator[tuple[list[Passage], Vectors]]:
        """Yield all passages with their vectors (n, d), `size` at a time, in the order of the table."""
        with self._reading():
            for batch in self._table.search().select([*SHOWN, "vector"]).to_batches(size):
                table = pa.Table.from_batches([batch])
                if len(table):
                    yield [found.passage for found in _found(table, [0.0] * len(table))], to_matrix(table)

    def close(self) -> None:
        """Close the table, and free the memory."""
        with self._loading:
            self._table = self._resident = self._tokens = None
            self._fetched, self._count = Fetched(None, SHOWN), lambda condition: 0


def among(langs: Sequence[str]) -> str:
    """Return an SQL condition: the language is one of these."""
    return f"lang IN ({', '.join(map(quoted, langs))})"


def _found(table: pa.Table, scores: Any) -> list[Found]:
    columns = [table[name].to_pylist() for name in SHOWN]
    return [_found_row(tuple(map(str, row)), float(score)) for *row, score in zip(*columns, scores, strict=True)]


def _found_row(row: Row, score: float) -> Found:
    key, text, shown = row
    return Found(Passage(id=key, text=text, **json.loads(shown)), score)
