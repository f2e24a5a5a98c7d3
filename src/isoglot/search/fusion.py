"""Putting rankings together: meaning and words, scores made comparable between languages, and quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

AMONG = 50  # passages whose spread is the scale of a ranking by meaning, and whose words are looked at
BELOW = 1e-3  # of what is further down, so that it keeps its order
_WORDS = 1.25
_PRIOR = 8.0  # a language with this many sampled passages is judged half by its own scores, half by all languages'


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


def standardise(own: Floats, every: Sequence[Floats]) -> tuple[Floats, Floats]:
    """What one language's scores for a query are centred and scaled by.

    A model that prefers a language gives all of its passages higher scores, relevant or not. Mean and standard
    deviation of a query's scores with a random sample of the language's passages tell by how much; (score - mean) /
    deviation is comparable between languages. Both are drawn towards all languages' where a sample is small:
    (n own + 8 all) / (n + 8). What all languages deviate by within themselves is drawn in the same way towards the
    deviation of all scores together, by the number of passages beyond one a language: of single passages there is
    nothing else to tell it.

    Args:
        own: (queries, n), scores with the language's sample.
        every: the same for every language, this one included.

    Returns:
        Mean and standard deviation, (queries, 1) each.

    >>> mean, spread = standardise(np.array([[1.0, 3.0]]), [np.array([[1.0, 3.0]])])
    >>> mean.item(), spread.item()
    (2.0, 1.0)
    """
    weight = own.shape[1] / (own.shape[1] + _PRIOR)
    mean = np.mean([part.mean(axis=1, keepdims=True) for part in every], axis=0)
    beyond = sum(part.shape[1] - 1 for part in every)
    within = sum((part.shape[1] - 1) * part.var(axis=1, keepdims=True) for part in every)
    together = np.concatenate(list(every), axis=1).var(axis=1, keepdims=True)
    variance = (within + _PRIOR * together) / (beyond + _PRIOR)
    shrunk = weight * own.var(axis=1, keepdims=True) + (1 - weight) * variance
    centre = weight * own.mean(axis=1, keepdims=True) + (1 - weight) * mean
    return centre, np.sqrt(np.maximum(shrunk, 1e-12))


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
