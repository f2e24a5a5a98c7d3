"""An exact index in memory: for small collections, and as the reference that the stored index is tested against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Vectors
from isoglot.languages.normal_form import search_form
from isoglot.languages.words import query_terms, search_terms
from isoglot.search.filters.checking import OWN_FIELDS, Fields
from isoglot.search.filters.evaluation import true_of
from isoglot.search.filters.tree import Filter
from isoglot.search.filters.values import Kind, Stored, passage_values, values_in
from isoglot.search.index.best_rows import best_rows
from isoglot.search.index.bm25 import K1, B, idf
from isoglot.search.index.protocol import SAMPLED, Found, Near, Tally
from isoglot.search.passage import Passage, in_order

_NEARLY = 0.05  # vectors stored in a byte a number are not exactly of length 1


class MemoryIndex:
    """Passages and their unit vectors (n, d), searched exactly.

    Args:
        passages: any number.
        vectors: one unit vector per passage.

    Raises:
        InputError: the numbers of vectors and passages differ, or a vector has another length than 1, or NaN.
    """

    def __init__(self, passages: Sequence[Passage], vectors: Vectors) -> None:
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or len(vectors) != len(passages):
            raise InputError(f"{len(passages)} passages and vectors {vectors.shape}; expected one vector a passage")
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        wrong = np.flatnonzero(~(np.abs(lengths - 1) < _NEARLY))
        if len(wrong):
            raise InputError(
                f"vectors: {len(wrong)} are no unit vectors, such as that of passage {passages[wrong[0]].id!r} of "
                f"length {lengths[wrong[0]]:.4g}; divide each by its length, so that products are cosines"
            )
        self._passages = list(passages)
        self._vectors = np.ascontiguousarray(vectors)
        self._lang = np.array([passage.lang for passage in passages], dtype=object)
        self._words = [Counter(search_terms(search_form(f"{passage.title} {passage.text}"))) for passage in passages]
        self._read: list[dict[str, dict[Kind, Stored]]] | None = None
        self._fields: Fields | None = None

    @property
    def dimension(self) -> int:
        """Number of dimensions of the vectors."""
        return int(self._vectors.shape[1])

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language, codes in alphabetical order."""
        return dict(sorted(Counter(self._lang.tolist()).items()))

    def fields(self) -> Fields:
        """Return the fields that filters may name."""
        if self._fields is None:
            found: dict[str, set[Kind]] = {name: set(kinds) for name, kinds in OWN_FIELDS.items()}
            for values in self._values():
                for name, kinds in values.items():
                    found.setdefault(name, set()).update(kinds)
            own = {name: found.pop(name) for name in OWN_FIELDS}
            self._fields = {**own, **dict(sorted(found.items()))}
        return self._fields

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages of highest cosine, best first; ties in the order of the passages."""
        scores = self._vectors @ vector.astype(np.float32)
        return self._found(self._best(scores, k, self._among(langs, where)), scores)

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """Return the vectors of the k passages of highest cosine."""
        scores = self._vectors @ vector.astype(np.float32)
        rows = self._best(scores, k, self._among(None, where))
        return Near(self._vectors[rows], scores[rows])

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Rank by BM25 (k1 1.2, b 0.75) over the terms of title and text; only passages with a match."""
        if not self._passages:
            return []
        lengths = np.array([words.total() for words in self._words], float)
        scores, ground = np.zeros(len(self._passages)), K1 * (1 - B + B * lengths / max(lengths.mean(), 1))
        for word in query_terms(query):
            count = np.array([words[word] for words in self._words], float)
            having = int(np.count_nonzero(count))
            scores += idf(len(count), having) * count * (K1 + 1) / (count + ground)
        return self._found(self._best(scores, k, self._among(langs, where) & (scores > 0)), scores)

    def sample(self, lang: str) -> Vectors:
        """Return up to 256 vectors of a language's passages, drawn with a fixed seed."""
        rows = np.flatnonzero(self._lang == lang)
        if len(rows) > SAMPLED:
            rows = np.sort(np.random.default_rng(0).choice(rows, SAMPLED, replace=False))
        return self._vectors[rows]

    def document(self, document: str) -> list[Passage]:
        """Return all passages of a document, in order."""
        return in_order(passage for passage in self._passages if passage.document == document)

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """Return a passage and its vector (d,)."""
        for passage, vector in zip(self._passages, self._vectors, strict=True):
            if passage.id == id:
                return passage, vector
        return None

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """Count the values of a field."""
        rows = np.flatnonzero(self._among(langs, where))
        held = [values_in(self._values()[row].get(field, {})) for row in rows]
        return Tally(Counter(value for values in held for value in values), len(rows), sum(not some for some in held))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _values(self) -> list[dict[str, dict[Kind, Stored]]]:
        if self._read is None:
            self._read = [passage_values(passage) for passage in self._passages]
        return self._read

    def _among(
        self, langs: Sequence[str] | None, where: Filter | None = None
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        among = np.ones(len(self._passages), bool)
        if langs is not None:
            among &= np.isin(self._lang.astype(str), list(langs))
        if where is not None:
            among &= np.fromiter((true_of(where, values) for values in self._values()), bool, len(among))
        return among

    def _best(self, scores: np.ndarray, keep: int, among: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(among)
        return rows[best_rows(scores[rows], keep)]

    def _found(self, rows: np.ndarray, scores: np.ndarray) -> list[Found]:
        return [Found(self._passages[row], float(scores[row])) for row in rows]
