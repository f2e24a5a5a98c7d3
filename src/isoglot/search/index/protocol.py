"""What a searcher asks of an index; the exact in-memory index and the Lance store both answer it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from isoglot.encoders.embedder import Vectors
from isoglot.search.passage import Passage

if TYPE_CHECKING:
    from isoglot.search.filters.checking import Fields
    from isoglot.search.filters.tree import Filter

SAMPLED = 256
"""Vectors of a language's sample at most (`Index.sample`)."""


class Found(NamedTuple):
    """A passage with its score: a cosine, or BM25."""

    passage: Passage
    score: float


class Near(NamedTuple):
    """Vectors (n, d) of passages, and the cosine of each with what was searched for (n,), best first."""

    vectors: Vectors
    cosines: Vectors


class Tally(NamedTuple):
    """The values of a field among some passages.

    Attributes:
        counts: passages that have each value; of a list, each of its values once.
        passages: all of them.
        without: those that have no value.
    """

    counts: Counter[str | float | bool]
    passages: int
    without: int


class Index(Protocol):
    """Passages with unit vectors, findable by vector and by words.

    A filter (`where`) is one that `checked_filter` has passed for the index's `fields`; it and the languages are
    looked at before the search, so that k passages are found where so many are there.
    """

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    def languages(self) -> dict[str, int]:
        """Passages in each language, codes in alphabetical order."""

    def fields(self) -> Fields:
        """The fields that filters may name, and the kinds of values that they hold."""

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """The k passages of highest cosine with a unit vector (d,), best first, in these languages."""

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """The vectors of the k passages of highest cosine with a unit vector (d,), in all languages."""

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """The k passages that match a query's words best (BM25), best first, in these languages."""

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """How often each value of one of the `fields` is there."""

    def sample(self, lang: str) -> Vectors:
        """Vectors (n, d) of a random, fixed sample of a language's passages (all of them where they are few)."""

    def document(self, document: str) -> list[Passage]:
        """All passages of a document, in their order; none where there is no such document."""

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """A passage and its vector (d,); None where there is no such passage."""

    def close(self) -> None:
        """Let go of files."""


@runtime_checkable
class ByLanguage(Protocol):
    """What an index may have besides, where searching languages one by one would do the same work for each."""

    def nearest_in_each(
        self, vector: Vectors, k: int, langs: Sequence[str], where: Filter | None = None
    ) -> list[list[Found]]:
        """What `Index.nearest` finds in each of the languages by itself."""
