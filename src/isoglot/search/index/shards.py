"""Split the input of a build into shards, each of which can be encoded anywhere, and more than once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from isoglot.core.files import json_line
from isoglot.documents.document import Document

CHUNK = 1024  # documents per shard
_LETTERS = 1_000_000  # characters per shard, for long documents
_FORM = 1  # version of the rows' format; increment it to discard shards encoded before


class Fresh(NamedTuple):
    """A document that is not in the index yet, and its hash (see `digest_of`)."""

    document: Document
    digest: str


@dataclass(frozen=True)
class Shard:
    """Documents that are split, encoded and stored together.

    Attributes:
        number: its place in the plan, from 0.
        address: hash of the documents and of everything that determines their rows: equal addresses, equal rows.
        documents: in order, with their hashes.
    """

    number: int
    address: str
    documents: tuple[Fresh, ...]

    @property
    def done(self) -> int:
        """Bytes of the input that have been read once its documents are."""
        return self.documents[-1].document.done


class Planned(NamedTuple):
    """An entry of the written plan: a shard's address, and its number of documents."""

    address: str
    documents: int


def cut(documents: Iterable[Fresh], settings: Any) -> Iterator[Shard]:
    """Split documents into shards: the same input and settings give the same shards.

    Args:
        documents: in order; read as shards are requested.
        settings: what determines the rows besides the documents, JSON-serializable.
    """
    about = json_line([_FORM, settings])
    number, letters, chosen = 0, 0, list[Fresh]()
    for entry in documents:
        chosen.append(entry)
        letters += len(entry.document.text) + len(entry.document.title)
        if len(chosen) >= CHUNK or letters >= _LETTERS:
            yield _shard(number, about, chosen)
            number, letters, chosen = number + 1, 0, []
    if chosen:
        yield _shard(number, about, chosen)


def _shard(number: int, about: str, chosen: list[Fresh]) -> Shard:
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for document, said in chosen:
        digest.update("\0".join(("", document.id, document.source, said)).encode("utf-8", "surrogatepass"))
    return Shard(number, digest.hexdigest(), tuple(chosen))
