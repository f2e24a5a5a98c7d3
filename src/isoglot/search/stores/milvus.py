"""An index in Milvus: vectors by cosine, words as sparse vectors; languages, ids and metadata as scalar fields."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Vectors
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import fields_of
from isoglot.search.filters.tree import Filter
from isoglot.search.filters.values import OWN
from isoglot.search.index.about import About
from isoglot.search.index.protocol import SAMPLED, Found, Near, Tally
from isoglot.search.passage import Passage, in_order
from isoglot.search.stores.milvus_about import Beside, Described
from isoglot.search.stores.milvus_collection import ALL, DENSE, POINT, WORDS, is_there
from isoglot.search.stores.milvus_filter import COLUMNS, equal, expression_of
from isoglot.search.stores.milvus_place import Connection, connect, to_place
from isoglot.search.stores.protocol import Opened, StoreKind, Writer
from isoglot.search.stores.shared import PAYLOAD, closed_on_error, no_collection, point_id, refuse_unfinished, tally_of
from isoglot.search.stores.term_weights import query_numbers

MOST = 16_384  # results of a search at most
_MORE = 16  # results fetched beyond k, to see whether scores tie at k
_EQUAL = 1000  # results fetched at most for that; of a longer tie, any may be left out


class MilvusIndex:
    """A collection made by `isoglot export`, open for reading.

    Args:
        connection: to its place.
        described: what the collection records about itself.
    """

    def __init__(self, connection: Connection, described: Described) -> None:
        self._connection, self._described = connection, described
        self._collection = connection.place.collection
        self._beside = Beside(connection)
        self._fields = fields_of(described.columns)
        self._sampled = lru_cache(maxsize=None)(self._sample_of)  # megabytes that every `balanced` search needs

    @property
    def dimension(self) -> int:
        """Number of dimensions of the vectors."""
        return self._described.about.dimension

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language, codes in alphabetical order."""
        counts = {lang: self._connection.count(self._collection, equal("lang", lang)) for lang in self._described.langs}
        return {lang: count for lang, count in sorted(counts.items()) if count}

    def fields(self) -> Fields:
        """Return the fields that filters may name."""
        return self._fields

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages of highest cosine, best first; a server uses an index of its own choice.

        Raises:
            InputError: k exceeds Milvus' limit, or Milvus cannot evaluate the filter.
        """
        return self._search(np.asarray(vector, np.float32).tolist(), DENSE, k, langs, where)

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """Return the vectors of the k passages of highest cosine, found as by `nearest`.

        Raises:
            InputError: as `nearest`.
        """
        asked = np.asarray(vector, np.float32).tolist()
        hits = self._hits(asked, DENSE, k, None, where, [DENSE]) if self._described.passages else []
        rows = np.asarray([hit["entity"][DENSE] for hit in hits], np.float32).reshape(len(hits), self.dimension)
        return Near(rows, np.asarray([hit["distance"] for hit in hits], np.float32))

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages that match a query's words best (BM25), best first.

        Raises:
            InputError: as `nearest`.
        """
        numbers = query_numbers(query, signs=self._described.about.signs)
        if not numbers or not self._described.passages:
            return []
        weights = self._beside.weights(numbers, self._described.passages)
        return [found for found in self._search(weights, WORDS, k, langs, where) if found.score > 0]

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """Count the values of a field, in one pass over the matching passages."""
        if langs is not None and not langs:
            return Tally(Counter(), 0, 0)
        wanted = [field if field in OWN else COLUMNS]
        rows = self._rows(expression_of(langs, where, self._fields) or ALL, wanted)
        return tally_of((_columns(row) for row in rows), field, self._fields)

    def sample(self, lang: str) -> Vectors:
        """Return up to 256 vectors of a language's passages: those with the lowest point ids, which are hashes."""
        return self._sampled(lang)

    def document(self, document: str) -> list[Passage]:
        """Return all passages of a document, in order; empty if there is no such document."""
        return in_order(map(_passage, self._rows(equal("document", document), PAYLOAD)))

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """Return a passage and its vector (d,); None if there is no such passage."""
        if not self._described.passages:
            return None  # Milvus 2.5 fails when asked for vectors of a collection that never had any
        rows = self._connection.ask(
            "get", collection_name=self._collection, ids=[point_id(id)], output_fields=[*PAYLOAD, DENSE]
        )
        return (_passage(rows[0]), np.asarray(rows[0][DENSE], np.float32)) if rows else None

    def close(self) -> None:
        """Close the connection, or the file."""
        self._connection.close()

    def _sample_of(self, lang: str) -> Vectors:
        here = self._connection.count(self._collection, equal("lang", lang))
        share, rows = 1.5 * SAMPLED / max(here, 1), list[dict[str, Any]]()
        while len(rows) < min(SAMPLED, here):
            below = "" if share >= 1 else f' and {POINT} < "{int(share * 2**32):08x}"'
            rows = list(self._rows(equal("lang", lang) + below, [POINT, DENSE]))
            if share >= 1:
                break  # passages may be deleted between two requests
            share *= 2
        rows = sorted(rows, key=lambda row: str(row[POINT]))[:SAMPLED]
        return np.asarray([row[DENSE] for row in rows], np.float32).reshape(len(rows), self.dimension)

    def _rows(self, condition: str, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        return self._connection.rows(self._collection, condition, fields)

    def _search(self, query: Any, field: str, k: int, langs: Sequence[str] | None, where: Filter | None) -> list[Found]:
        if langs is not None and not langs:
            return []
        if k > MOST:
            raise InputError(f"k {k}: Milvus answers a search with {MOST} passages at most; ask for fewer")
        limit, most = min(k + _MORE, MOST), min(max(k + _MORE, _EQUAL), MOST)
        while True:
            hits = self._hits(query, field, limit, langs, where, PAYLOAD)
            found = [Found(_passage(hit["entity"]), float(hit["distance"])) for hit in hits]
            # Milvus returns any of the tied passages: fetch the whole tie, to return the same ones each time.
            if len(found) < limit or limit == most or found[-1].score < found[k - 1].score:
                return sorted(found, key=lambda one: (-one.score, one.passage.id))[:k]
            limit = min(4 * limit, most)

    def _hits(
        self,
        query: Any,
        field: str,
        limit: int,
        langs: Sequence[str] | None,
        where: Filter | None,
        fields: Sequence[str],
    ) -> Sequence[Any]:
        """Return the best rows, with these fields."""
        answer = self._connection.ask(
            "search",
            collection_name=self._collection,
            data=[query],
            anns_field=field,
            limit=limit,
            filter=expression_of(langs, where, self._fields),
            output_fields=list(fields),
        )
        return list(answer[0])


def open_milvus(rest: str) -> Opened:
    """Open a collection for reading.

    Raises:
        InputError: no such place or collection, an unfinished export, or a file that another process has open.
        IsoglotError: the server does not answer.
        MissingPackageError: pymilvus or Milvus Lite is not installed.
    """
    place = to_place(rest)
    return _opened(connect(place, make=False))


def _opened(connection: Connection) -> Opened:
    place, beside = connection.place, Beside(connection)
    with closed_on_error(connection):
        if not is_there(connection):
            raise no_collection(place.shown, place.collection)
        mark, described = beside.mark(), beside.read()
        refuse_unfinished(described.finished, place.shown)
    index = MilvusIndex(connection, described)
    return Opened(index, described.about, described.about.version, partial(_renewed, connection, mark))


def _renewed(connection: Connection, mark: str) -> Opened | None:
    if connection.place.file is not None:
        return None  # the file is locked, so nobody else can have written to it
    beside = Beside(connection)
    if beside.mark() == mark or not beside.read().finished:
        return None
    return _opened(connect(connection.place, make=False))


def write_milvus(rest: str, about: About, overwrite: bool) -> Writer:
    """Open a collection for writing, and create it if it does not exist.

    Raises:
        InputError: it holds another encoder's vectors, or was not made by `isoglot export`.
        IsoglotError: the server does not answer.
        MissingPackageError: pymilvus or Milvus Lite is not installed.
    """
    from isoglot.search.stores.milvus_writer import MilvusWriter

    connection = connect(to_place(rest), make=True)
    with closed_on_error(connection):
        return MilvusWriter(connection, about, overwrite=overwrite)


MILVUS = StoreKind(open_milvus, write_milvus)


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row's values by column name; an empty text is no value."""
    return row[COLUMNS] if COLUMNS in row else {name: value or None for name, value in row.items()}


def _passage(row: Any) -> Passage:
    return Passage(**{**{name: row[name] for name in PAYLOAD}, "metadata": json.loads(row["metadata"])})
