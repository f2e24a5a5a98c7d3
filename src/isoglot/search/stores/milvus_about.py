"""What a Milvus collection records about itself, in a second collection: its encoder, and document frequencies.

Milvus stores no long texts with a collection, and knows inverse document frequencies only of texts that its own
analyzers have split. So both are rows of a second collection. A description is written in parts under a new name, and
then pointed to, so that nobody reads half of one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from isoglot.core.errors import InputError
from isoglot.search.index.about import About
from isoglot.search.index.bm25 import idf
from isoglot.search.stores.milvus_place import Connection

KEY, TEXT, NUMBER, NOTHING = "key", "text", "number", "nothing"
LONGEST = 65_535  # bytes of a text field
_BESIDE = "_isoglot"  # suffix of the second collection's name
_POINTER = "told"
_PART = 60_000
_AT_ONCE = 2000
_AGAIN = 3
_REMEDY = "export it again with `isoglot export --overwrite`"


class Described(NamedTuple):
    """What a collection records about itself.

    Attributes:
        about: the encoder.
        finished: whether the first export was finished.
        columns: keys of the metadata for filters.
        langs: languages that any passage has had.
        passages: number of passages at the end of the last export.
    """

    about: About
    finished: bool = False
    columns: Sequence[str] = ()
    langs: Sequence[str] = ()
    passages: int = 0

    def to_text(self) -> str:
        """Return ASCII JSON, so that each character is one byte."""
        return json.dumps({**self._asdict(), "about": self.about.to_text()})


class Beside:
    """The second collection, which describes a collection.

    Args:
        connection: to the collection's place.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.name = connection.place.collection + _BESIDE

    def is_there(self) -> bool:
        """Return whether it exists, with the fields that `make` creates."""
        return fields_there(self._connection, self.name) == {KEY, TEXT, NUMBER, NOTHING}

    def make(self) -> None:
        """Create it."""
        from pymilvus import DataType

        schema = self._connection.schema("what isoglot knows about the collection of this name")
        schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=100)
        schema.add_field(TEXT, DataType.VARCHAR, max_length=LONGEST)
        schema.add_field(NUMBER, DataType.INT64)
        schema.add_field(NOTHING, DataType.FLOAT_VECTOR, dim=2)  # Milvus allows no collection without vectors
        indexes = self._connection.index_params()
        indexes.add_index(NOTHING, index_type="FLAT", metric_type="L2")
        self._connection.ask(
            "create_collection",
            collection_name=self.name,
            schema=schema,
            index_params=indexes,
            consistency_level="Strong",
        )

    def drop(self) -> None:
        """Delete it."""
        self._connection.ask("drop_collection", collection_name=self.name)

    def mark(self) -> str:
        """Return a mark that changes with the description; empty if there is none yet."""
        return self._texts([_POINTER]).get(_POINTER, "")

    def told(self) -> str:
        """Return what `tell` wrote last; empty if nothing was written yet.

        Raises:
            InputError: a part of it is missing.
        """
        for _ in range(_AGAIN):  # it may be rewritten between two requests
            keys = _parts(self.mark())
            parts = self._texts(keys)
            if parts.keys() == set(keys):
                return "".join(parts[key] for key in keys)
        raise InputError(f"{self._connection.place.shown}: a part of its own record is missing; {_REMEDY}")

    def tell(self, described: Described) -> None:
        """Store a description, replacing the previous one."""
        text, before = described.to_text(), self.mark()
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        mark = f"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()} {len(parts)}"
        if mark != before:
            self._put([_row(key, part, 0) for key, part in zip(_parts(mark), parts, strict=True)])
            self._put([_row(_POINTER, mark, 0)])
            self._forget(_parts(before))

    def read(self) -> Described:
        """Return the description.

        Raises:
            InputError: it is broken, or of another format.
        """
        shown = self._connection.place.shown
        try:
            record = json.loads(self.told())
            about = record.pop("about")
            described = Described(About("", 0), **record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{shown}: its own record is broken ({error}); {_REMEDY}") from error
        return described._replace(about=About.from_text(about, shown))

    def weights(self, numbers: Sequence[int], passages: int) -> dict[int, float]:
        """Return the inverse document frequencies of terms, by number, among so many passages."""
        keys = {_term(number): number for number in numbers}
        rows = self._connection.ask("get", collection_name=self.name, ids=list(keys), output_fields=[KEY, NUMBER])
        having = {keys[row[KEY]]: int(row[NUMBER]) for row in rows}
        return {number: idf(passages, having.get(number, 0)) for number in numbers}

    def weigh(self, frequencies: Mapping[int, int]) -> None:
        """Store the document frequency of each term; only new and changed ones are sent."""
        wanted = dict(frequencies)
        gone = []
        for row in self._connection.rows(self.name, f"{NUMBER} > 0", [KEY, NUMBER]):
            number = int(row[KEY].rpartition("/")[2])
            if number not in wanted:
                gone.append(row[KEY])
            elif wanted[number] == int(row[NUMBER]):
                del wanted[number]
        self._put([_row(_term(number), "", count) for number, count in wanted.items()])
        self._forget(gone)

    def _texts(self, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        rows = self._connection.ask("get", collection_name=self.name, ids=list(keys), output_fields=[KEY, TEXT])
        return {row[KEY]: row[TEXT] for row in rows}

    def _put(self, rows: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(rows), _AT_ONCE):
            self._connection.ask("upsert", collection_name=self.name, data=list(rows[start : start + _AT_ONCE]))

    def _forget(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _AT_ONCE):
            self._connection.ask("delete", collection_name=self.name, ids=list(keys[start : start + _AT_ONCE]))


def fields_there(connection: Connection, collection: str) -> set[str] | None:
    """Return the names of a collection's fields; None if there is no such collection."""
    if not connection.ask("has_collection", collection_name=collection):
        return None
    described = connection.ask("describe_collection", collection_name=collection)
    return {field["name"] for field in described["fields"]}


def _row(key: str, text: str, number: int) -> dict[str, Any]:
    return {KEY: key, TEXT: text, NUMBER: number, NOTHING: [0.0, 0.0]}


def _parts(mark: str) -> list[str]:
    name, _, count = mark.partition(" ")
    return [f"{_POINTER}/{name}/{number}" for number in range(int(count or 0))]


def _term(number: int) -> str:
    return f"term/{number}"
