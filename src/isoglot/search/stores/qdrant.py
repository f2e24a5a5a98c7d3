"""An index in Qdrant: vectors by cosine, words as sparse vectors; languages and ids as payload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from isoglot.encoders.embedder import Vectors
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import column, fields_of
from isoglot.search.filters.tree import Filter
from isoglot.search.index.about import About
from isoglot.search.index.protocol import SAMPLED, Found, Near, Tally
from isoglot.search.passage import Passage, in_order
from isoglot.search.stores.protocol import Opened, StoreKind, Writer
from isoglot.search.stores.qdrant_collection import DENSE, WORDS, read_about, scroll
from isoglot.search.stores.qdrant_place import QdrantPlace, asking, connect, to_place
from isoglot.search.stores.shared import PAYLOAD, Kept, closed_on_error, point_id, refuse_unfinished, tally_of
from isoglot.search.stores.term_weights import query_numbers


class QdrantIndex:
    """A collection made by `isoglot export`, open for reading.

    Args:
        client: of qdrant-client.
        place: of the collection.
        about: what the collection records about itself.
        columns: payload keys with metadata for filters.
    """

    def __init__(self, client: Any, place: QdrantPlace, about: About, columns: Sequence[str]) -> None:
        self._client, self._place, self._about = client, place, about
        self._fields = fields_of(columns)
        self._sampled = lru_cache(maxsize=None)(self._sample_of)  # megabytes that every `balanced` search needs

    @property
    def dimension(self) -> int:
        """Number of dimensions of the vectors."""
        return self._about.dimension

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language, codes in alphabetical order."""
        with asking(self._place):
            counted = self._client.facet(self._place.collection, key="lang", limit=10_000, exact=True)
        return dict(sorted((str(hit.value), int(hit.count)) for hit in counted.hits))

    def fields(self) -> Fields:
        """Return the fields that filters may name."""
        return self._fields

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages of highest cosine, best first; a server uses its HNSW index if it has one."""
        return _found(self._points(np.asarray(vector, np.float32).tolist(), DENSE, k, langs, where))

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """Return the vectors of the k passages of highest cosine, found as by `nearest`."""
        points = self._points(np.asarray(vector, np.float32).tolist(), DENSE, k, None, where, vectors=True)
        rows = np.asarray([point.vector[DENSE] for point in points], np.float32)
        return Near(
            rows.reshape(len(points), self.dimension), np.asarray([point.score for point in points], np.float32)
        )

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages that match a query's words best (BM25), best first."""
        from qdrant_client import models

        numbers = query_numbers(query, signs=self._about.signs)
        if not numbers:
            return []
        asked = models.SparseVector(indices=numbers, values=[1.0] * len(numbers))
        return _found(self._points(asked, WORDS, k, langs, where))

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """Count the values of a field, in one pass over the matching passages."""
        if langs is not None and not langs:
            return Tally(Counter(), 0, 0)
        keys = [column(field, kind) for kind in self._fields[field]]
        condition = self._condition(langs, where)
        with asking(self._place):
            points = scroll(self._client, self._place.collection, condition, keys)
            return tally_of((point.payload for point in points), field, self._fields)

    def sample(self, lang: str) -> Vectors:
        """Return up to 256 vectors of a language's passages: those with the lowest point ids, which are hashes."""
        return self._sampled(lang)

    def document(self, document: str) -> list[Passage]:
        """Return all passages of a document, in order; empty if there is no such document."""
        with asking(self._place):
            points = scroll(self._client, self._place.collection, of_documents([document]))
            return in_order(_passage(point.payload) for point in points)

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """Return a passage and its vector (d,); None if there is no such passage."""
        with asking(self._place):
            points = self._client.retrieve(
                self._place.collection, [point_id(id)], with_payload=list(PAYLOAD), with_vectors=[DENSE]
            )
        return (_passage(points[0].payload), np.asarray(points[0].vector[DENSE], np.float32)) if points else None

    def close(self) -> None:
        """Close the connection, or the folder."""
        self._client.close()

    def _sample_of(self, lang: str) -> Vectors:
        with asking(self._place):
            points, _ = self._client.scroll(
                self._place.collection,
                scroll_filter=self._condition([lang], None),
                limit=SAMPLED,
                with_payload=False,
                with_vectors=[DENSE],
            )
        rows = [point.vector[DENSE] for point in points]
        return np.asarray(rows, np.float32).reshape(len(rows), self.dimension)

    def _condition(self, langs: Sequence[str] | None, where: Filter | None) -> Any:
        from isoglot.search.stores.qdrant_filter import condition_of

        return condition_of(langs, where, self._fields)

    def _points(
        self, query: Any, name: str, k: int, langs: Sequence[str] | None, where: Filter | None, *, vectors: bool = False
    ) -> Sequence[Any]:
        """Return the best points, with the passages' payload or, if `vectors`, with their vectors instead."""
        if langs is not None and not langs:
            return []
        condition = self._condition(langs, where)
        with asking(self._place):
            answer = self._client.query_points(
                self._place.collection,
                query=query,
                using=name,
                limit=k,
                query_filter=condition,
                with_payload=False if vectors else list(PAYLOAD),
                with_vectors=[DENSE] if vectors else False,
            )
        return list(answer.points)


def _found(points: Sequence[Any]) -> list[Found]:
    return [Found(_passage(point.payload), float(point.score)) for point in points]


def of_documents(ids: Sequence[str]) -> Any:
    """Return a condition: a passage belongs to one of these documents."""
    from qdrant_client import models

    return models.Filter(must=[models.FieldCondition(key="document", match=models.MatchAny(any=list(ids)))])


def open_qdrant(rest: str) -> Opened:
    """Open a collection for reading.

    Raises:
        InputError: no answer, no such place or collection, an unfinished export, or a folder that another process has
            open.
        MissingPackageError: qdrant-client is not installed.
    """
    place = to_place(rest)
    return _opened(connect(place, make=False), place)


def _opened(client: Any, place: QdrantPlace) -> Opened:
    with closed_on_error(client):
        kept = read_about(client, place)
        refuse_unfinished(kept.finished, place.shown)
    index = QdrantIndex(client, place, kept.about, kept.columns)
    return Opened(index, kept.about, kept.about.version, partial(_renewed, client, place, kept))


def _renewed(client: Any, place: QdrantPlace, before: Kept) -> Opened | None:
    if place.folder is not None:
        return None  # the folder is locked, so nobody else can have written to it
    newer = read_about(client, place).is_newer_than(before)
    return _opened(connect(place, make=False), place) if newer else None


def write_qdrant(rest: str, about: About, overwrite: bool) -> Writer:
    """Open a collection for writing, and create it if it does not exist.

    Raises:
        InputError: no answer, another encoder's vectors, or a collection that `isoglot export` did not make.
        MissingPackageError: qdrant-client is not installed.
    """
    from isoglot.search.stores.qdrant_writer import QdrantWriter

    place = to_place(rest)
    client = connect(place, make=True)
    with closed_on_error(client):
        return QdrantWriter(client, place, about, overwrite=overwrite)


QDRANT = StoreKind(open_qdrant, write_qdrant)


def _passage(payload: dict[str, Any]) -> Passage:
    fields: dict[str, Any] = {name: "" if payload[name] is None else payload[name] for name in PAYLOAD}
    return Passage(**fields)
