"""The interface of stores: they open an index for searching, and write passages with vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from isoglot.encoders.embedder import Vectors
from isoglot.search.index.about import About
from isoglot.search.index.protocol import Index
from isoglot.search.passage import Passage


def _nothing_new() -> None:
    return None


@dataclass(frozen=True)
class Opened:
    """An index opened by a store.

    Attributes:
        index: the index to search.
        about: its encoder; None if the store does not know it and the caller must give one.
        version: number of the open version, if the store has versions.
        renew: reopens the index if something new was published since; else returns None.
    """

    index: Index
    about: About | None = None
    version: int | None = None
    renew: Callable[[], Opened | None] = _nothing_new


class Writer(Protocol):
    """A place open for writing, for `isoglot export`."""

    def held(self) -> Mapping[str, str]:
        """Return the digest of each stored passage, by passage id; called first, and again after the last change."""

    def put(self, passages: Sequence[Passage], digests: Sequence[str], vectors: Vectors) -> None:
        """Store passages with unit vectors (n, d) and digests; an existing passage of the same id is replaced."""

    def remove(self, ids: Sequence[str]) -> None:
        """Delete passages by id; unknown ids are ignored."""

    def finish(self) -> int:
        """Publish what was stored to readers; return the number of passages."""

    def close(self) -> None:
        """Close the place, finished or not; what was stored is kept for the next export."""


@runtime_checkable
class Weighing(Protocol):
    """Optional interface of writers for stores that do not compute the inverse document frequency of terms."""

    def weigh(self, frequencies: Mapping[int, int]) -> None:
        """Store the document frequency of each term, by the term's number; called once, before `finish`."""


Open = Callable[[str], Opened | Index]
Write = Callable[[str, About, bool], Writer]


class StoreKind(NamedTuple):
    """A kind of place for indexes.

    Attributes:
        open: function from what follows `NAME:` to an index; a plain `Index` if the encoder is not known.
        write: function from what follows `NAME:`, what the index records about itself, and whether to delete what the
            place holds first, to a writer; None if the store is read-only.
    """

    open: Open
    write: Write | None = None
