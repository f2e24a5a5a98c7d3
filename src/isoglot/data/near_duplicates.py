"""Near-duplicate texts, measured by the overlap of their character 4-grams."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

GRAM = 4
NEAR = 0.8
"""Two texts with at least this share of grams in common are near duplicates."""

_NOT_LETTERS = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    r"""Normalise a text for comparison: NFKC, case folding, white space collapsed.

    >>> normalise("Ｗer  WAR\tdas?")
    'wer war das?'
    """
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


@lru_cache(maxsize=4096)
def grams(text: str) -> frozenset[str]:
    """Return the character 4-grams of a text's letters and digits; a shorter text is one gram, an empty one has none.

    Characters rather than words, so that languages written without spaces are treated the same way.

    >>> sorted(grams("Ab, cde"))
    ['abcd', 'bcde']
    """
    bare = _NOT_LETTERS.sub("", normalise(text))
    if len(bare) <= GRAM:
        return frozenset([bare] if bare else [])
    return frozenset(bare[at : at + GRAM] for at in range(len(bare) - GRAM + 1))


def jaccard(a: str, b: str) -> float:
    """Jaccard similarity: shared grams over all grams of both texts, 0 to 1 (0 if neither has any)."""
    first, second = grams(a), grams(b)
    union = len(first | second)
    return len(first & second) / union if union else 0.0


def contains(a: str, b: str) -> float:
    """Overlap coefficient: shared grams over the smaller number of grams, 1 if one text contains the other."""
    first, second = grams(a), grams(b)
    smaller = min(len(first), len(second))
    return len(first & second) / smaller if smaller else 0.0
