"""Score fusion of vector and word search, and language quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

AMONG = 50  # passages whose cosines set the scale, and whose words are compared
BELOW = 1e-3  # factor for what is further down: keeps its order, adds next to nothing
_WORDS = 1.25


def on_one_scale(scores: Floats) -> Floats:
    """Rescale cosines, best first: 1 for the first, 0 for the 50th (or the last).

    How widely an encoder spreads its cosines is meaningless; a passage's place among the best is not. Further down
    scores go on falling, but a thousand times more slowly, so that a name finds a passage whatever its cosine.

    >>> on_one_scale(np.array([0.9, 0.85, 0.8])).round(6).tolist()
    [1.0, 0.5, 0.0]
    """
    first, last = scores[0], scores[:AMONG][-1]
    placed: Floats = 1 + (scores - first) / max(float(first - last), 1e-6)
    placed[placed < 0] *= BELOW
    return placed


def of_words(scores: Floats, shares: Floats) -> Floats:
    """Return what the query's words add to passages' scores: 1.25 * (BM25 / the highest) * share ** 2.

    A convex combination with cosines (Bruch and others 2023, arXiv 2210.11934) has one weight for questions, whose
    answers use other words, and for names and codes, where only the words count. The share of the query's words that a
    passage contains (the coordination factor of older search engines) tells them apart: all of a name's words, some of
    a question's, none across languages. Weight and exponent were chosen on held-out articles of MLQA-R.

    Args:
        scores: BM25.
        shares: share of the query's words that each passage contains, 0 to 1.

    >>> of_words(np.array([8.0, 4.0]), np.array([0.5, 1.0])).tolist()
    [0.3125, 0.625]
    """
    gained: Floats = _WORDS * scores / max(float(scores.max()), 1e-6) * shares**2
    return gained


def with_quota(langs: Sequence[str], k: int, quota: float) -> list[int]:
    """Return positions of the k entries of a ranking to keep, in order, so that no language is crowded out.

    Of k places, floor(quota * k / languages) are reserved for each language in the ranking, and filled with its best;
    the others go to the best of what is left. quota 0 keeps the first k; quota 1 reserves all that divide evenly.

    Args:
        langs: language of each entry, best entry first.
        k: places.
        quota: 0 to 1.

    >>> with_quota(["en", "en", "en", "en", "de"], 4, 0.25)
    [0, 1, 2, 3]
    >>> with_quota(["en", "en", "en", "en", "de"], 4, 0.5)
    [0, 1, 2, 4]
    """
    entitled = int(quota * k / max(1, len(set(langs))))
    taken: dict[str, int] = {}
    reserved: list[int] = []
    others: list[int] = []
    for position, lang in enumerate(langs):
        taken[lang] = taken.get(lang, 0) + 1
        (reserved if taken[lang] <= entitled else others).append(position)
    return sorted([*reserved, *others][:k])
