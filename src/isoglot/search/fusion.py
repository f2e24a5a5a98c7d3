"""Putting rankings together: meaning and words, and quotas of languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

AMONG = 50  # passages whose spread is the scale of a ranking by meaning, and whose words are looked at
BELOW = 1e-3  # of what is further down, so that it keeps its order
_WORDS = 1.25


def on_one_scale(scores: Floats) -> Floats:
    """Scores of a ranking by meaning, best first: 1 for the first, 0 for the 50th (or the last).

    How far an encoder spreads its cosines says nothing; how a passage stands among the best does. Further down they
    fall on, by a thousandth as much: a name finds a passage wherever meaning has it.

    >>> on_one_scale(np.array([0.9, 0.85, 0.8])).round(6).tolist()
    [1.0, 0.5, 0.0]
    """
    first, last = scores[0], scores[:AMONG][-1]
    placed: Floats = 1 + (scores - first) / max(float(first - last), 1e-6)
    placed[placed < 0] *= BELOW
    return placed


def of_words(scores: Floats, shares: Floats) -> Floats:
    """What passages gain by the query's words: 1.25 * (BM25 / the highest) * share ** 2.

    A convex combination with cosines (Bruch and others 2023, arXiv 2210.11934) has one weight for questions, whose
    answers use other words, and for names and codes, of which nothing but the words counts. The share of the query's
    words that a passage has tells them apart, the coordination factor of older search engines: all of a name's, some
    of a question's, none across languages. Weight and exponent were chosen on held-out articles of MLQA-R.

    Args:
        scores: BM25.
        shares: of the query's words that each passage has, 0 to 1.

    >>> of_words(np.array([8.0, 4.0]), np.array([0.5, 1.0])).tolist()
    [0.3125, 0.625]
    """
    gained: Floats = _WORDS * scores / max(float(scores.max()), 1e-6) * shares**2
    return gained


def with_quota(langs: Sequence[str], k: int, quota: float) -> list[int]:
    """Positions of the k entries of a ranking to keep, in order, so that no language is starved.

    Of k places, floor(quota * k / languages) belong to each language that has entries, filled with its best; the
    others go to the best of what is left. quota 0 keeps the first k; quota 1 shares out all places that divide evenly.

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
