"""Write an index to OpenSearch: create it, fill it, and mark it as finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opensearchpy import helpers

from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.embedder import Vectors
from isoglot.search.index.about import About
from isoglot.search.index.columns import LONGEST_NAME, MOST, field_columns
from isoglot.search.passage import Passage
from isoglot.search.stores import opensearch_requests as requests
from isoglot.search.stores.opensearch_about import read_about
from isoglot.search.stores.opensearch_layout import ABOUT, DIGEST, document_of, mapping, properties_of, settings
from isoglot.search.stores.opensearch_place import OpenSearchPlace, asking, reason_of
from isoglot.search.stores.shared import Kept, point_id, refuse_other_vectors

_PAGE = 5000
_BYTES = 10_000_000  # per request
_RETRIES = 6  # for a busy server: about a minute in all
_GONE = 404


class OpenSearchWriter:
    """An index open for writing.

    Args:
        client: of opensearch-py.
        place: of the index.
        about: the encoder of the vectors to be written.
        overwrite: delete an existing index first.
        wait: seconds before a request to a busy server is repeated; doubled each time.

    Raises:
        InputError: it holds another encoder's vectors, was not made by `isoglot export`, or is an alias.
    """

    def __init__(
        self, client: Any, place: OpenSearchPlace, about: About, *, overwrite: bool, wait: float = 1.0
    ) -> None:
        self._client, self._place, self._about, self._told, self._wait = client, place, about, about, wait
        self._finished, self._columns = False, set[str]()
        with asking(place):
            there = client.indices.exists(index=place.index)
        if there:
            # Check first who made it: an index that is not ours must not be deleted.
            known = self._known()
            if not overwrite:
                refuse_other_vectors(about, known.about, place.shown, "index")
                self._told = known.about  # until the end: readers reopen the index when its description changes
                self._finished, self._columns = known.finished, set(known.columns)
                return
            with asking(place):
                client.indices.delete(index=place.index)
        self._create()

    def held(self) -> Mapping[str, str]:
        """Return the digest of each stored passage, by passage id."""
        body = {"query": {"match_all": {}}, "_source": False, "docvalue_fields": ["id", DIGEST]}
        with asking(self._place):
            # Without a refresh, passages stored just before an interruption would not be found.
            self._client.indices.refresh(index=self._place.index)
            found = requests.hits(self._client, self._place.index, body, _PAGE)
            return {str(hit["fields"]["id"][0]): str(hit["fields"][DIGEST][0]) for hit in found}

    def put(self, passages: Sequence[Passage], digests: Sequence[str], vectors: Vectors) -> None:
        """Store passages with their vectors; an existing passage of the same id is replaced."""
        columns = self._with_room(field_columns(passages))
        documents = []
        for row, (passage, digest, vector) in enumerate(zip(passages, digests, vectors, strict=True)):
            values = {name: held[row] for name, held in columns.items() if held[row] is not None}
            documents.append(document_of(passage, digest, vector, values))
        new = columns.keys() - self._columns
        if new:
            self._columns |= new
            with asking(self._place):
                self._describe(properties_of(new))
        self._bulk(
            {"_op_type": "index", "_id": point_id(passage.id), "_source": document}
            for passage, document in zip(passages, documents, strict=True)
        )

    def remove(self, ids: Sequence[str]) -> None:
        """Delete passages by id."""
        self._bulk({"_op_type": "delete", "_id": point_id(passage)} for passage in ids)

    def finish(self) -> int:
        """Mark the index as complete, once all of it is searchable; return the number of passages in it."""
        with asking(self._place):
            self._client.indices.refresh(index=self._place.index)
            self._finished, self._told = True, self._about
            self._describe({})
            return requests.count(self._client, self._place.index, {"match_all": {}})

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _known(self) -> Kept:
        known, name = read_about(self._client, self._place)
        if name != self._place.index:
            raise InputError(
                f"{self._place.shown}: {self._place.index!r} is an alias of the index {name!r}; export to that index"
            )
        return known

    def _create(self) -> None:
        body = {"settings": settings(), "mappings": mapping(self._about.dimension, self._said())}
        try:
            with asking(self._place):
                self._client.indices.create(index=self._place.index, body=body)
        except IsoglotError as error:
            if "unknown setting [index.knn]" in str(error) or "No handler for type [knn_vector]" in str(error):
                raise InputError(
                    f"{self._place.shown}: the server has no k-NN plugin, which keeps vectors; install it there "
                    "(opensearch-plugin install opensearch-knn), or take OpenSearch's full distribution"
                ) from error
            if reason_of(getattr(error.__cause__, "info", None))[0] != "resource_already_exists_exception":
                raise
            # The answer to an earlier attempt was lost, or another export began at the same moment.
            refuse_other_vectors(self._about, self._known().about, self._place.shown, "index")

    def _with_room(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the columns within the limit, which is an index folder's; the build has warned of the others."""
        new = sorted(name for name in columns if name not in self._columns and len(name) <= LONGEST_NAME)
        taken = self._columns | set(new[: max(0, MOST - len(self._columns))])
        return {name: held for name, held in columns.items() if name in taken}

    def _describe(self, properties: Mapping[str, Any]) -> None:
        body = {"_meta": {ABOUT: self._said()}, "properties": dict(properties)}
        self._client.indices.put_mapping(index=self._place.index, body=body)

    def _said(self) -> dict[str, Any]:
        return {"about": self._told.to_text(), "finished": self._finished}

    def _bulk(self, actions: Iterable[dict[str, Any]]) -> None:
        """Send actions in bulk, repeat those that a busy server rejected, and check each result."""
        refused: list[str] = []
        with asking(self._place):
            for ok, item in helpers.streaming_bulk(
                self._client,
                actions,
                index=self._place.index,
                max_chunk_bytes=_BYTES,
                max_retries=_RETRIES,
                initial_backoff=self._wait,  # type: ignore[arg-type]  # whole seconds are not asked for anywhere
                raise_on_error=False,
                yield_ok=False,
            ):
                ((kind, told),) = item.items()
                if not ok and not (kind == "delete" and told.get("status") == _GONE):
                    refused.append(f"{told.get('status')}, {reason_of(told)[1]}")
        if refused:
            raise IsoglotError(
                f"{self._place.shown}: the server did not take {len(refused)} passages ({refused[0]}); run the same "
                "command again when it can"
            )
