"""Searching an index: one query in any language, ranked passages out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from isoglot.errors import InputError
from isoglot.index.protocol import Index, Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Mode = Literal["dense", "lexical", "hybrid"]
Fair = Literal["none", "balanced"]
LONGEST_QUERY = 8192
LARGEST_K = 1000


@dataclass(frozen=True, slots=True)
class Hit:
    """One result.

    Attributes:
        id: of the passage.
        text, title, lang, source, metadata: of the passage, as in `Passage`.
        score: what the ranking sorts by; comparable within one result list only.
        parts: what the score was made of: `dense` (cosine), `lexical` (BM25), `rrf`, `standardised`, `rerank`.
        document: id of the document that the passage is a part of.
    """

    id: str
    text: str
    title: str
    lang: str
    score: float
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    document: str = ""


class Expander(Protocol):
    """Turns a query into the text that is searched for (the query itself where it has nothing to add)."""

    def __call__(self, query: str) -> str:
        """The expanded query."""


class Searcher:
    """An open index with its encoder.

    `Searcher.open` reads a folder; the constructor takes any `Index` and any function from queries to unit vectors.
    Searches may run in several threads: encoding is serialised by a lock.

    Args:
        index: what to search.
        encode: texts to unit vectors (n, d) float32.
        model_name: for display.
    """

    def __init__(self, index: Index, encode: Callable[[list[str]], Vectors], *, model_name: str = "") -> None:
        self._index, self._encode, self.model_name = index, encode, model_name
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, model: SentenceTransformer | str | None = None) -> Searcher:
        """Open an index folder.

        Args:
            path: made by `isoglot index`.
            model: the encoder; the one the index was made with when None.

        Raises:
            InputError: no index there, one of an unknown format, or a model that does not fit it.
        """
        raise InputError(f"{path}: no index; make one with `isoglot index INPUT -o {path}`")

    def search(
        self,
        query: str,
        *,
        k: int = 10,
        langs: Sequence[str] | None = None,
        mode: Mode = "dense",
        fair: Fair = "none",
        rerank: str | None = None,
        expand: Expander | None = None,
    ) -> list[Hit]:
        """Find passages.

        Args:
            query: in any language.
            k: how many results at most.
            langs: only passages in these languages.
            mode: `dense` by cosine, `lexical` by BM25, `hybrid` both by reciprocal rank fusion.
            fair: `balanced` takes the model's preference for some languages out of the ranking.
            rerank: a cross-encoder (folder or Hub id) that scores the best results anew.
            expand: rewrites the query first.

        Raises:
            InputError: an empty or oversized query, k out of range, an unknown language, mode or fairness.
        """
        if not query.strip() or len(query) > LONGEST_QUERY:
            raise InputError(f"the query has {len(query)} characters; expected 1 to {LONGEST_QUERY}")
        if not 1 <= k <= LARGEST_K:
            raise InputError(f"--k {k}: expected 1 to {LARGEST_K}")
        with self._lock:
            vector = self._encode([query])[0]
        found = self._index.nearest(np.asarray(vector, np.float32), k, langs)
        return [
            Hit(p.id, p.text, p.title, p.lang, score, p.source, p.metadata, {"dense": score}, p.document)
            for p, score in found
        ]

    def languages(self) -> dict[str, int]:
        """Passages in each language of the index."""
        return self._index.languages()

    def close(self) -> None:
        """Let go of the index."""
        self._index.close()
