"""The plan of a build: the input in shards, each of which can be encoded anywhere, and twice without harm."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from isoglot.core.files import json_line
from isoglot.documents.document import Document

CHUNK = 1024  # documents of a shard
_LETTERS = 1_000_000  # of a shard's texts, where documents are long
_FORM = 1  # of the rows that are made of a shard: another one, and nothing that was made before is used


class Fresh(NamedTuple):
    """A document that the index does not hold, and its hash (see `digest_of`)."""

    document: Document
    digest: str


@dataclass(frozen=True)
class Shard:
    """Some documents that are split, encoded and stored together.

    Attributes:
        number: its place in the plan, from 0.
        address: hash of the documents and of all that decides their rows: equal addresses, equal rows.
        documents: in their order, with their hashes.
    """

    number: int
    address: str
    documents: tuple[Fresh, ...]

    @property
    def done(self) -> int:
        """Bytes of the input that are read when its documents are."""
        return self.documents[-1].document.done


class Planned(NamedTuple):
    """A shard as the written plan names it: by its address, and how many documents it has."""

    address: str
    documents: int


def cut(documents: Iterable[Fresh], settings: Any) -> Iterator[Shard]:
    """Documents in shards: the same input and settings give the same shards.

    Args:
        documents: in their order; read as shards are asked for.
        settings: what decides the rows besides the documents, as JSON takes it.
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
