"""Write an index to Qdrant: create a collection, fill it, and mark it as finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qdrant_client import models

from isoglot.core.errors import IsoglotError
from isoglot.encoders.embedder import Vectors
from isoglot.search.index.about import About
from isoglot.search.index.columns import field_columns
from isoglot.search.passage import Passage
from isoglot.search.stores.qdrant_collection import ABOUT, DENSE, WORDS, read_about, scroll
from isoglot.search.stores.qdrant_place import QdrantPlace, asking
from isoglot.search.stores.shared import PAYLOAD, Kept, point_id, refuse_other_vectors
from isoglot.search.stores.term_weights import passage_weights

_INDEXED = ("lang", "document")


class QdrantWriter:
    """A collection open for writing.

    Args:
        client: of qdrant-client.
        place: of the collection.
        about: the encoder of the vectors to be written.
        overwrite: delete an existing collection first.

    Raises:
        InputError: it holds another encoder's vectors, or was not made by `isoglot export`.
    """

    def __init__(self, client: Any, place: QdrantPlace, about: About, *, overwrite: bool) -> None:
        self._client, self._place, self._about, self._told = client, place, about, about
        self._finished, self._columns = False, set[str]()
        with asking(place):
            there = client.collection_exists(place.collection)
        if there:
            # Check first who made it: a collection that is not ours must not be deleted.
            known = self._known(overwrite)
            if known is not None:
                self._about = replace(about, mean_terms=known.about.mean_terms)
                self._told = known.about  # until the end: readers reopen the collection when its description changes
                self._finished, self._columns = known.finished, set(known.columns)
                return
            with asking(place):
                client.delete_collection(place.collection)
        self._create()

    def held(self) -> Mapping[str, str]:
        """Return the digest of each stored passage, by passage id."""
        with asking(self._place):
            points = scroll(self._client, self._place.collection, fields=("id", "digest"))
            return {str(point.payload["id"]): str(point.payload["digest"]) for point in points}

    def put(self, passages: Sequence[Passage], digests: Sequence[str], vectors: Vectors) -> None:
        """Store passages with their vectors; an existing passage of the same id is replaced."""
        points = []
        columns = field_columns(passages)
        for row, (passage, digest, vector) in enumerate(zip(passages, digests, vectors, strict=True)):
            weights = passage_weights(passage, self._about.mean_terms)
            words = models.SparseVector(indices=list(weights), values=list(weights.values()))
            # An empty title or source is stored as a missing value, which filters can test for.
            payload = {name: getattr(passage, name) or None for name in PAYLOAD}
            payload |= {"text": passage.text, "metadata": dict(passage.metadata), "digest": digest}
            payload |= {name: values[row] for name, values in columns.items() if values[row] is not None}
            points.append(
                models.PointStruct(
                    id=point_id(passage.id),
                    vector={DENSE: np.asarray(vector, np.float32).tolist(), WORDS: words},
                    payload=payload,
                )
            )
        new = columns.keys() - self._columns
        with asking(self._place):
            if new:  # described before the points are stored, so that an interrupted export loses none
                self._columns |= new
                self._describe()
            self._client.upsert(self._place.collection, points=points, wait=True)

    def remove(self, ids: Sequence[str]) -> None:
        """Delete passages by id."""
        chosen = models.PointIdsList(points=[point_id(passage) for passage in ids])
        with asking(self._place):
            self._client.delete(self._place.collection, points_selector=chosen, wait=True)

    def finish(self) -> int:
        """Mark the collection as complete; return the number of passages in it."""
        self._finished, self._told = True, self._about
        with asking(self._place):
            self._describe()
            return int(self._client.count(self._place.collection, exact=True).count)

    def close(self) -> None:
        """Close the connection, or the folder."""
        self._client.close()

    def _known(self, overwrite: bool) -> Kept | None:
        """Return what an existing collection records about itself; None if it is to be overwritten."""
        known = read_about(self._client, self._place)
        if overwrite:
            return None
        refuse_other_vectors(self._about, known.about, self._place.shown, "collection")
        return known

    def _create(self) -> None:
        dense = models.VectorParams(size=self._about.dimension, distance=models.Distance.COSINE)
        collection = self._place.collection
        with asking(self._place):
            self._client.create_collection(
                collection,
                vectors_config={DENSE: dense},
                sparse_vectors_config={WORDS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                metadata=self._metadata(),
            )
            kept = self._client.get_collection(collection).config.metadata
            if not kept:
                self._client.delete_collection(collection)
                raise IsoglotError(
                    f"{self._place.shown}: the server keeps no metadata of collections; expected Qdrant 1.16 or newer"
                )
            if self._place.folder is None:  # folders are searched exhaustively
                for field in _INDEXED:
                    self._client.create_payload_index(collection, field, models.PayloadSchemaType.KEYWORD, wait=True)

    def _describe(self) -> None:
        self._client.update_collection(self._place.collection, metadata=self._metadata())

    def _metadata(self) -> dict[str, Any]:
        about = {"about": self._told.to_text(), "finished": self._finished, "columns": sorted(self._columns)}
        return {ABOUT: about}
