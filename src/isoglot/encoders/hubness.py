"""CSLS as two extra dimensions, to lower the rank of passages that are close to every query.

In high dimensions some points are among the nearest neighbours of most others, whatever they mean (hubs; Radovanovic
and others 2010, JMLR 11). CSLS (Conneau and others 2018, arXiv 1710.04087) subtracts from a cosine how close each side
is to its neighbours on the other side. The query's term does not affect the ranking, so only the passage's is computed,
against queries of other rows (a query bank: Bogolin and others 2022, arXiv 2112.12777), with equal weight per language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Role, Vectors

MOST = 2048  # queries kept, of all languages together
LEAST = 32  # kept per language at least, if there are as many
_MOST_TAKEN = 0.125  # limit of the change of a cosine, either way
_QUERY, _PASSAGE = 0.5, 0.25  # norms of what is added: small, so that 8-bit quantisation keeps the rest precise
_BLOCK = 4096  # passages compared at a time


@dataclass(frozen=True, eq=False)
class Hubs:
    """Queries against which passages are measured.

    Attributes:
        bank: unit vectors (m, d) of each language, float16.
        neighbours: number of nearest queries per language whose cosines are averaged.
        strength: share of that mean to subtract from a cosine.
        usual: mean hubness of the passages it was fitted on; only the difference from it is subtracted.
    """

    bank: Mapping[str, NDArray[np.float16]]
    neighbours: int
    strength: float
    usual: float = 0.0

    def hubness(self, vectors: Vectors) -> NDArray[np.float64]:
        """Return the mean cosine (n,) of passages (n, d) to their nearest queries, averaged over languages.

        Raises:
            InputError: the queries were left out (`Debias.for_queries`).
        """
        if not all(map(len, self.bank.values())):
            raise InputError("this correction is for queries only; for passages use `debias.npz` in the index's folder")
        found = np.zeros(len(vectors))
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            for questions in self.bank.values():
                cosines = vectors[block] @ questions.astype(np.float32).T
                nearest = min(self.neighbours, cosines.shape[1])
                found[block] += np.partition(cosines, -nearest, axis=1)[:, -nearest:].mean(axis=1, dtype=np.float64)
        return found / len(self.bank)

    def widened(self, vectors: Vectors, role: Role) -> Vectors:
        """Return unit vectors (n, d + 2) whose cosine is (cosine - strength * (hubness - usual)) / 1.15.

        Args:
            vectors: (n, d), unit length.
            role: in the first new dimension, a query gets a constant and a passage its correction, limited to .125 of
                a cosine.

        The last dimension brings all passages to the same norm; it is 0 for queries.
        """
        if role == "query":
            more = np.tile([_QUERY, 0.0], (len(vectors), 1))
        else:
            taken = self.strength * (self.hubness(vectors) - self.usual)
            taken = np.clip(taken, -_MOST_TAKEN, _MOST_TAKEN) / _QUERY
            more = np.stack([-taken, np.sqrt(_PASSAGE**2 - taken**2)], axis=1)
        wide = np.hstack([vectors, more]).astype(np.float32)
        unit: Vectors = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        return unit


def hubs(
    queries: Mapping[str, Vectors], passages: Vectors | None, *, neighbours: int = 20, strength: float = 0.5
) -> Hubs:
    """Select the queries to keep, evenly spaced within each language, and compute the usual hubness.

    Args:
        queries: unit vectors (m, d) of each language.
        passages: (n, d), unit length, for the usual hubness; the queries themselves when None.
        neighbours: as in `Hubs`.
        strength: as in `Hubs`.

    >>> two = {"de": np.eye(2, dtype=np.float32), "en": np.eye(2, dtype=np.float32)}
    >>> fitted = hubs(two, np.float32([[0.6, 0.8]]), neighbours=1, strength=1.0)
    >>> round(fitted.usual, 2), fitted.hubness(np.float32([[1, 0], [0, 1]])).tolist()
    (0.8, [1.0, 1.0])
    """
    most = max(LEAST, MOST // len(queries))
    bank = {}
    for lang, rows in sorted(queries.items()):
        kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int))
        bank[lang] = rows[kept].astype(np.float16)
    fitted = Hubs(bank, neighbours, strength)
    seen = np.concatenate(list(queries.values())) if passages is None else passages
    return Hubs(bank, neighbours, strength, float(fitted.hubness(seen).mean()))
