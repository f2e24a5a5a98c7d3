"""Putting rankings together: reciprocal rank fusion, scores made comparable between languages, and quotas."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)
Floats = NDArray[np.floating[Any]]

RRF_CONSTANT = 60
_PRIOR = 8.0  # a language with this many sampled passages is judged half by its own scores, half by all languages'


def reciprocal_rank_fusion(rankings: Sequence[Sequence[Key]], constant: int = RRF_CONSTANT) -> dict[Key, float]:
    """Sum of 1 / (constant + rank) over rankings (Cormack et al. 2009), best first; ties keep the order of appearance.

    >>> reciprocal_rank_fusion([["a", "b"], ["b", "c"]], constant=1)
    {'b': 0.8333333333333333, 'a': 0.5, 'c': 0.3333333333333333}
    """
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (constant + rank)
    return dict(sorted(scores.items(), key=lambda entry: -entry[1]))


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
