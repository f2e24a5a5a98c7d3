"""An index in Qdrant: vectors by cosine, words as sparse vectors, languages and ids as payload."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.search.index.about import About
from isoglot.search.index.memory import SAMPLED
from isoglot.search.index.protocol import Found, Passage, Vectors, in_order
from isoglot.search.stores.protocol import Opened, StoreKind, Writer
from isoglot.search.stores.qdrant_place import QdrantPlace, asking, connect, to_place
from isoglot.search.stores.term_weights import query_numbers

DENSE, WORDS = "dense", "words"
ABOUT = "isoglot"  # the key of the collection's metadata that is ours
PAYLOAD = ("id", "document", "text", "lang", "title", "source", "metadata")
_PAGE = 256


class QdrantIndex:
    """A collection that `isoglot export` made, open for reading.

    Args:
        client: of qdrant-client.
        place: of the collection.
        about: what the collection says about itself.
    """

    def __init__(self, client: Any, place: QdrantPlace, about: About) -> None:
        self._client, self._place, self._about = client, place, about

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return self._about.dimension

    def languages(self) -> dict[str, int]:
        """Passages in each language, codes in alphabetical order."""
        with asking(self._place):
            counted = self._client.facet(self._place.collection, key="lang", limit=10_000, exact=True)
        return dict(sorted((str(hit.value), int(hit.count)) for hit in counted.hits))

    def nearest(self, vector: Vectors, k: int, langs: Sequence[str] | None = None) -> list[Found]:
        """The k passages of highest cosine, best first; a server finds them through its HNSW index where it has one."""
        return self._query(np.asarray(vector, np.float32).tolist(), DENSE, k, langs)

    def matching(self, query: str, k: int, langs: Sequence[str] | None = None) -> list[Found]:
        """The k passages that match a query's words best (BM25), best first."""
        from qdrant_client import models

        numbers = query_numbers(query)
        if not numbers:
            return []
        return self._query(models.SparseVector(indices=numbers, values=[1.0] * len(numbers)), WORDS, k, langs)

    def sample(self, lang: str) -> Vectors:
        """Up to 256 vectors of a language's passages: those of the lowest point ids, which are hashes."""
        with asking(self._place):
            points, _ = self._client.scroll(
                self._place.collection,
                scroll_filter=_among([lang]),
                limit=SAMPLED,
                with_payload=False,
                with_vectors=[DENSE],
            )
        rows = [point.vector[DENSE] for point in points]
        return np.asarray(rows, np.float32).reshape(len(rows), self.dimension)

    def document(self, document: str) -> list[Passage]:
        """All passages of a document, in their order; none where there is no such document."""
        with asking(self._place):
            points = scroll(self._client, self._place.collection, where("document", [document]))
            return in_order(_passage(point.payload) for point in points)

    def close(self) -> None:
        """Let go of the connection, or of the folder."""
        self._client.close()

    def _query(self, query: Any, name: str, k: int, langs: Sequence[str] | None) -> list[Found]:
        if langs is not None and not langs:
            return []
        with asking(self._place):
            answer = self._client.query_points(
                self._place.collection,
                query=query,
                using=name,
                limit=k,
                query_filter=None if langs is None else _among(langs),
                with_payload=True,
            )
        return [Found(_passage(point.payload), float(point.score)) for point in answer.points]


def point_id(passage: str) -> str:
    """A passage's id as Qdrant takes it: a UUID that is a hash of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, passage))


def scroll(client: Any, collection: str, condition: Any = None, fields: Sequence[str] = PAYLOAD) -> Iterator[Any]:
    """All points that meet a condition, with these fields of their payload."""
    after = None
    while True:
        points, after = client.scroll(
            collection, scroll_filter=condition, limit=_PAGE, offset=after, with_payload=list(fields)
        )
        yield from points
        if after is None:
            return


def where(field: str, values: Sequence[str]) -> Any:
    """Condition: a field of the payload is one of these."""
    from qdrant_client import models

    return models.Filter(must=[models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))])


def read_about(client: Any, place: QdrantPlace) -> tuple[About, bool]:
    """What a collection says about itself, and whether its export was finished.

    Raises:
        InputError: no such collection, or one that `isoglot export` did not make.
    """
    with asking(place):
        if not client.collection_exists(place.collection):
            raise InputError(
                f"{place.shown}: no collection {place.collection!r} there; make it with "
                f"`isoglot export INDEX {place.shown}`"
            )
        kept = (client.get_collection(place.collection).config.metadata or {}).get(ABOUT)
    if not isinstance(kept, dict) or "about" not in kept:
        raise InputError(
            f"{place.shown}: the collection {place.collection!r} was not made by `isoglot export`; name another one"
        )
    return About.from_text(kept["about"], place.shown), bool(kept.get("finished"))


def open_qdrant(rest: str) -> Opened:
    """Open a collection for reading.

    Raises:
        InputError: no such place, no such collection, an unfinished export, or a folder that another process has open.
        IsoglotError: no answer from the server.
        MissingPackageError: qdrant-client is not installed.
    """
    place = to_place(rest)
    return _opened(connect(place, make=False), place)


def _opened(client: Any, place: QdrantPlace) -> Opened:
    try:
        about, finished = read_about(client, place)
        if not finished:
            raise InputError(f"{place.shown}: its export was not finished; run the same `isoglot export` command again")
    except BaseException:
        client.close()
        raise
    return Opened(QdrantIndex(client, place, about), about, about.version, partial(_renewed, client, place, about))


def _renewed(client: Any, place: QdrantPlace, about: About) -> Opened | None:
    if place.folder is not None:
        return None  # nobody else can have written to it
    now, finished = read_about(client, place)
    return _opened(connect(place, make=False), place) if finished and now.to_text() != about.to_text() else None


def write_qdrant(rest: str, about: About, overwrite: bool) -> Writer:
    """Open a collection for writing; made where it is missing.

    Raises:
        InputError: it holds another encoder's vectors, or was not made by `isoglot export`.
        IsoglotError: no answer from the server.
        MissingPackageError: qdrant-client is not installed.
    """
    from isoglot.search.stores.qdrant_writer import QdrantWriter

    place = to_place(rest)
    client = connect(place, make=True)
    try:
        return QdrantWriter(client, place, about, overwrite=overwrite)
    except BaseException:
        client.close()
        raise


QDRANT = StoreKind(open_qdrant, write_qdrant)


def _among(langs: Sequence[str]) -> Any:
    return where("lang", langs)


def _passage(payload: dict[str, Any]) -> Passage:
    return Passage(**{name: payload[name] for name in PAYLOAD})
