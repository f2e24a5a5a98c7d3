"""An exact index in memory: for small collections, and the reference that the stored one is tested against."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from isoglot.core.errors import InputError
from isoglot.languages.normal_form import search_form
from isoglot.languages.words import index_terms, query_terms
from isoglot.search.index.protocol import Found, Passage, Vectors, in_order

SAMPLED = 256
_K1, _B = 1.2, 0.75


class MemoryIndex:
    """Passages and their unit vectors (n, d), searched exactly.

    Args:
        passages: any number.
        vectors: one unit vector a passage.

    Raises:
        InputError: as many vectors as passages are needed.
    """

    def __init__(self, passages: Sequence[Passage], vectors: Vectors) -> None:
        if vectors.ndim != 2 or len(vectors) != len(passages):
            raise InputError(f"{len(passages)} passages and vectors {vectors.shape}; expected one vector a passage")
        self._passages = list(passages)
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        self._lang = np.array([passage.lang for passage in passages], dtype=object)
        self._words = [Counter(index_terms(search_form(f"{passage.title} {passage.text}"))) for passage in passages]

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        return int(self._vectors.shape[1])

    def languages(self) -> dict[str, int]:
        """Passages in each language, codes in alphabetical order."""
        return dict(sorted(Counter(self._lang.tolist()).items()))

    def nearest(self, vector: Vectors, k: int, langs: Sequence[str] | None = None) -> list[Found]:
        """The k passages of highest cosine, best first; equal ones in the order of the passages."""
        return self._best(self._vectors @ vector.astype(np.float32), k, self._among(langs))

    def matching(self, query: str, k: int, langs: Sequence[str] | None = None) -> list[Found]:
        """BM25 (k1 1.2, b 0.75) over the terms of search forms, titles included; only passages with a match."""
        lengths = np.array([words.total() for words in self._words], float)
        scores = np.zeros(len(self._passages))
        for word in dict.fromkeys(query_terms(search_form(query))):
            count = np.array([words[word] for words in self._words], float)
            having = np.count_nonzero(count)
            idf = math.log(1 + (len(count) - having + 0.5) / (having + 0.5))
            scores += idf * count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1)))
        return self._best(scores, k, self._among(langs) & (scores > 0))

    def sample(self, lang: str) -> Vectors:
        """Up to 256 vectors of a language's passages, drawn with a fixed seed."""
        rows = np.flatnonzero(self._lang == lang)
        if len(rows) > SAMPLED:
            rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLED, replace=False))
        return self._vectors[rows]

    def document(self, document: str) -> list[Passage]:
        """All passages of a document, in their order."""
        return in_order(passage for passage in self._passages if passage.document == document)

    def close(self) -> None:
        """Nothing to let go of."""

    def _among(self, langs: Sequence[str] | None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if langs is None:
            return np.ones(len(self._passages), bool)
        return np.isin(self._lang.astype(str), list(langs))

    def _best(self, scores: np.ndarray, keep: int, among: np.ndarray) -> list[Found]:
        rows = np.flatnonzero(among)
        order = rows[np.argsort(-scores[rows], kind="stable")[:keep]]
        return [Found(self._passages[row], float(scores[row])) for row in order]
