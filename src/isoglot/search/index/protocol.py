"""The interface of an index, as searchers use it; implemented in memory (exact), in Lance, and by the stores."""

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
"""Largest number of vectors in a language's sample (`Index.sample`)."""


class Found(NamedTuple):
    """A passage with its score: a cosine, or BM25."""

    passage: Passage
    score: float


class Near(NamedTuple):
    """Vectors (n, d) of passages, and their cosines with the query vector (n,), best first."""

    vectors: Vectors
    cosines: Vectors


class Tally(NamedTuple):
    """The values of a field among some passages.

    Attributes:
        counts: number of passages with each value; a list counts once for each of its values.
        passages: number of passages counted.
        without: number of those that have no value.
    """

    counts: Counter[str | float | bool]
    passages: int
    without: int


class Index(Protocol):
    """Passages with unit vectors, searchable by vector and by words.

    A filter (`where`) must have been checked by `checked_filter` against the index's `fields`. Filter and languages
    are applied before the search, so that it returns k passages if as many match.
    """

    @property
    def dimension(self) -> int:
        """Number of dimensions of the vectors."""

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language, codes in alphabetical order."""

    def fields(self) -> Fields:
        """Return the fields that filters may name, and the types of their values."""

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages in these languages with the highest cosine to a unit vector (d,), best first."""

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """Return the vectors of the k passages with the highest cosine to a unit vector (d,), in all languages."""

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages in these languages that match a query's words best (BM25), best first."""

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """Count the values of one of the `fields`."""

    def sample(self, lang: str) -> Vectors:
        """Return vectors (n, d) of a random, fixed sample of a language's passages (all of them if they are few)."""

    def document(self, document: str) -> list[Passage]:
        """Return all passages of a document, in order; empty if there is no such document."""

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """Return a passage and its vector (d,); None if there is no such passage."""

    def close(self) -> None:
        """Close files and connections."""


@runtime_checkable
class ByLanguage(Protocol):
    """Optional interface of indexes that can search several languages faster together than one by one."""

    def nearest_in_each(
        self, vector: Vectors, k: int, langs: Sequence[str], where: Filter | None = None
    ) -> list[list[Found]]:
        """Return what `Index.nearest` finds in each of the languages separately."""
