"""Write an index to Milvus: create two collections, fill them, and mark them as finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.files import json_line
from isoglot.encoders.embedder import Vectors
from isoglot.search.index.about import About
from isoglot.search.index.columns import field_columns
from isoglot.search.passage import Passage
from isoglot.search.stores.milvus_about import LONGEST, Beside, Described, fields_there
from isoglot.search.stores.milvus_collection import ALL, DENSE, DIGEST, POINT, WORDS, is_there
from isoglot.search.stores.milvus_filter import COLUMNS
from isoglot.search.stores.milvus_place import Connection
from isoglot.search.stores.shared import PAYLOAD, not_ours, point_id, refuse_other_vectors
from isoglot.search.stores.term_weights import LARGEST, passage_weights

_NO_WORDS = {LARGEST + 1: 1.0}  # sparse vector of a passage without words: Milvus accepts no empty ones
_ROWS = 256  # per request, which may have 64 MB
_SHOWN = 3


class MilvusWriter:
    """A collection open for writing.

    Args:
        connection: to its place.
        about: the encoder of the vectors to be written.
        overwrite: delete an existing collection first.

    Raises:
        InputError: it holds another encoder's vectors, or was not made by `isoglot export`.
    """

    def __init__(self, connection: Connection, about: About, *, overwrite: bool) -> None:
        self._connection, self._about = connection, about
        self._collection, self._beside = connection.place.collection, Beside(connection)
        self._described = Described(about)
        # Check first who made it: a collection that is not ours must not be deleted.
        there = is_there(connection)
        if there and not overwrite:
            known = self._beside.read()
            refuse_other_vectors(about, known.about, connection.place.shown, "collection")
            self._about = replace(about, mean_terms=known.about.mean_terms)
            self._described = known  # until the end: readers reopen the collection when its description changes
            return
        if there:
            connection.ask("drop_collection", collection_name=self._collection)
        self._create()

    def held(self) -> Mapping[str, str]:
        """Return the digest of each stored passage, by passage id."""
        rows = self._connection.rows(self._collection, ALL, ["id", DIGEST])
        return {str(row["id"]): str(row[DIGEST]) for row in rows}

    def put(self, passages: Sequence[Passage], digests: Sequence[str], vectors: Vectors) -> None:
        """Store passages with their vectors; an existing passage of the same id is replaced.

        Raises:
            InputError: a text is too long for Milvus; then nothing is stored.
        """
        columns = field_columns(passages)
        rows = [
            self._row(
                passage,
                digests[number],
                vectors[number],
                {name: values[number] for name, values in columns.items() if values[number] is not None},
            )
            for number, passage in enumerate(passages)
        ]
        _refuse_long(self._connection.place.shown, rows)
        langs = {passage.lang for passage in passages}
        if not langs <= set(self._described.langs) or not columns.keys() <= set(self._described.columns):
            self._tell(  # before the rows, so that an interrupted export loses none
                langs=sorted(langs.union(self._described.langs)), columns=sorted({*columns, *self._described.columns})
            )
        for start in range(0, len(rows), _ROWS):
            self._connection.ask("upsert", collection_name=self._collection, data=rows[start : start + _ROWS])

    def remove(self, ids: Sequence[str]) -> None:
        """Delete passages by id."""
        self._connection.ask("delete", collection_name=self._collection, ids=[point_id(passage) for passage in ids])

    def weigh(self, frequencies: Mapping[int, int]) -> None:
        """Store the document frequency of each term."""
        self._beside.weigh(frequencies)

    def finish(self) -> int:
        """Mark the collection as complete; return the number of passages in it."""
        there = self._connection.count(self._collection, ALL)
        self._tell(about=self._about, finished=True, passages=there)
        return there

    def close(self) -> None:
        """Close the connection, or the file."""
        self._connection.close()

    def _tell(self, **new: Any) -> None:
        self._described = self._described._replace(**new)
        self._beside.tell(self._described)

    def _row(self, passage: Passage, digest: str, vector: Vectors, columns: dict[str, Any]) -> dict[str, Any]:
        own = {name: getattr(passage, name) for name in PAYLOAD}
        return {
            **own,
            "metadata": json_line(dict(passage.metadata)),
            POINT: point_id(passage.id),
            DIGEST: digest,
            DENSE: np.asarray(vector, np.float32).tolist(),
            WORDS: passage_weights(passage, self._about.mean_terms) or _NO_WORDS,
            COLUMNS: columns,
        }

    def _create(self) -> None:
        from pymilvus import DataType

        place = self._connection.place
        # Create the second collection first: a collection without it is not recognized as ours.
        if self._beside.is_there():
            self._beside.drop()
        elif fields_there(self._connection, self._beside.name) is not None:
            raise not_ours(place.shown, self._beside.name)
        self._beside.make()
        self._beside.tell(self._described)
        schema = self._connection.schema("an index of isoglot")
        schema.add_field(POINT, DataType.VARCHAR, is_primary=True, max_length=36)
        for name in (*PAYLOAD, DIGEST):
            schema.add_field(name, DataType.VARCHAR, max_length=LONGEST)
        schema.add_field(COLUMNS, DataType.JSON)
        schema.add_field(DENSE, DataType.FLOAT_VECTOR, dim=self._about.dimension)
        schema.add_field(WORDS, DataType.SPARSE_FLOAT_VECTOR)
        indexes = self._connection.index_params()
        # A file is searched exhaustively; on a server the index is automatic, as Zilliz Cloud accepts nothing else.
        indexes.add_index(DENSE, index_type="FLAT" if place.file else "AUTOINDEX", metric_type="COSINE")
        indexes.add_index(WORDS, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        if place.file is None:
            for name in ("lang", "document"):
                indexes.add_index(name, index_type="INVERTED")
        self._connection.ask(
            "create_collection",
            collection_name=self._collection,
            schema=schema,
            index_params=indexes,
            consistency_level="Strong",
        )


def _refuse_long(shown: str, rows: Sequence[dict[str, Any]]) -> None:
    """Raise InputError if a row has more text than fits into a Milvus field."""
    long = []
    for row in rows:
        for name in PAYLOAD:
            size = len(str(row[name]).encode(errors="replace"))
            if size > LONGEST:
                long.append(f"{name} of {str(row['id'])[:60]!r}: {size} bytes")
        size = len(json_line(row[COLUMNS]).encode())
        if size > LONGEST:
            long.append(f"metadata for filters of {str(row['id'])[:60]!r}: {size} bytes")
    if long:
        more = f", and {len(long) - _SHOWN} more" if len(long) > _SHOWN else ""
        raise InputError(
            f"{shown}: Milvus keeps texts of up to {LONGEST} bytes; {'; '.join(long[:_SHOWN])}{more}; index with "
            "shorter passages or less metadata, or export to another store"
        )
