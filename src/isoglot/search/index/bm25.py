"""BM25 (Robertson and Zaragoza 2009): its two constants, and a term's inverse document frequency."""

from __future__ import annotations

import math

K1, B = 1.2, 0.75


def idf(passages: int, having: int) -> float:
    """Return the inverse document frequency of a term: log(1 + (N - n + 1/2) / (n + 1/2)).

    Args:
        passages: N, the number of passages in the collection.
        having: n, the number of passages with the term.

    >>> round(idf(3, 1), 4)  # log(1 + 2.5 / 1.5)
    0.9808
    """
    having = min(having, passages)
    return math.log(1 + (passages - having + 0.5) / (having + 0.5))
