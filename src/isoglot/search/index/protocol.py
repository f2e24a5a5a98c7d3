"""What a searcher asks of an index; the exact in-memory index and the Lance store both answer it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Passage:
    """One searchable piece of a document.

    Attributes:
        id: unique in the index; the document's own id, followed by `#n` where the document was split.
        document: id of the document.
        text: as it is shown and matched.
        lang: language code, `und` where it could not be told.
        title: of the document, empty where it has none.
        source: file (and line) the document came from.
        metadata: further fields of the document.
    """

    id: str
    document: str
    text: str
    lang: str
    title: str = ""
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Found(NamedTuple):
    """A passage with its score: a cosine, or BM25."""

    passage: Passage
    score: float


class Index(Protocol):
    """Passages with unit vectors, findable by vector and by words."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""

    def languages(self) -> dict[str, int]:
        """Passages in each language, codes in alphabetical order."""

    def nearest(self, vector: Vectors, k: int, langs: Sequence[str] | None = None) -> list[Found]:
        """The k passages of highest cosine with a unit vector (d,), best first, in these languages."""

    def matching(self, query: str, k: int, langs: Sequence[str] | None = None) -> list[Found]:
        """The k passages that match a query's words best (BM25), best first, in these languages."""

    def sample(self, lang: str) -> Vectors:
        """Vectors (n, d) of a random, fixed sample of a language's passages (all of them where they are few)."""

    def close(self) -> None:
        """Let go of files."""
