"""What a store gives and takes: an index to search, and passages with vectors to keep."""

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
    """An index as a store opens it.

    Attributes:
        index: to search.
        about: its encoder; None where the store does not know, and whoever opens it has to say.
        version: number of what is open, where the store counts.
        renew: opens it again where something new was published since, else gives None.
    """

    index: Index
    about: About | None = None
    version: int | None = None
    renew: Callable[[], Opened | None] = _nothing_new


class Writer(Protocol):
    """A place open for writing, for `isoglot export`."""

    def held(self) -> Mapping[str, str]:
        """Digest of each passage that is there, by the passage's id."""

    def put(self, passages: Sequence[Passage], digests: Sequence[str], vectors: Vectors) -> None:
        """Keep passages with their unit vectors (n, d) and digests; one of an id that is there is replaced."""

    def remove(self, ids: Sequence[str]) -> None:
        """Forget passages by id; ids that are not there do no harm."""

    def finish(self) -> int:
        """Make what was put the state that readers see; how many passages that are."""

    def close(self) -> None:
        """Let go, finished or not; what was put stays for the next time."""


@runtime_checkable
class Weighing(Protocol):
    """What a writer may have besides, where the store leaves it to whoever asks how rare a term is."""

    def weigh(self, frequencies: Mapping[int, int]) -> None:
        """Keep how many passages have each term, by the term's number; said once, before `finish`."""


Open = Callable[[str], Opened | Index]
Write = Callable[[str, About, bool], Writer]


class StoreKind(NamedTuple):
    """A kind of place that indexes are kept in.

    Attributes:
        open: from what follows `NAME:` to an index. A plain `Index` will do where the encoder is not known.
        write: from what follows `NAME:`, what the index says about itself, and whether what is there goes first, to a
            writer; None where the store is only read.
    """

    open: Open
    write: Write | None = None
