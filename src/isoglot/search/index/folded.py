"""Documents that are duplicates of others, and the rows that one of them inherits when the other is deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from isoglot.core.files import json_line
from isoglot.search.filters.sql import field_of
from isoglot.search.index.columns import field_arrays
from isoglot.search.passage import Passage, passage_id


@dataclass(frozen=True)
class Folded:
    """A document with the same text, title and language as another."""

    document: str
    same_as: str
    source: str
    metadata: str
    hash: str


class Heirs:
    """Folded documents that take the place of deleted ones.

    Args:
        heirs: by the document that each is folded into.
    """

    def __init__(self, heirs: Mapping[str, Folded]) -> None:
        self._hashes = {document: heir.hash for document, heir in heirs.items()}
        self._passages = {document: _first_passage(heir) for document, heir in heirs.items()}

    def schema(self) -> pa.Schema:
        """Return the columns of the heirs' metadata."""
        return pa.table(field_arrays(list(self._passages.values()))).schema

    def rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the passages of deleted documents as their heirs', with the same texts and vectors."""
        for batch in batches:
            originals, ids, abouts = (_texts(batch[name]) for name in ("document", "id", "about"))
            heirs = [self._passages[document] for document in originals]
            own = {
                "id": map(_inherited_id, ids, originals, heirs),
                "document": (heir.document for heir in heirs),
                "source": (heir.source or None for heir in heirs),
                "hash": (self._hashes[document] for document in originals),
                "about": map(_inherited_about, abouts, heirs),
            }
            kept = {name: batch[name] for name in batch.schema.names if name not in own and field_of(name) is None}
            texts = {name: pa.array(list(values), pa.string()) for name, values in own.items()}
            yield pa.RecordBatch.from_pydict(kept | texts | field_arrays(heirs))


def _first_passage(heir: Folded) -> Passage:
    return Passage(heir.document, heir.document, "", "", source=heir.source, metadata=json.loads(heir.metadata))


def _texts(column: Any) -> list[str]:
    texts: list[str] = column.to_pylist()
    return texts


def _inherited_id(name: str, document: str, heir: Passage) -> str:
    """Return a passage's id in the heir: a document's only passage has no number, unless the heir's id ends in one."""
    return passage_id(heir.document, 1, 1) if name == document else heir.document + name.removeprefix(document)


def _inherited_about(about: str, heir: Passage) -> str:
    own = {"document": heir.document, "source": heir.source, "metadata": heir.metadata}
    return json_line(json.loads(about) | own)
