"""Where a text has the words of a query, for scripts with and without spaces between words."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import NamedTuple

from isoglot.languages.normal_form import aligned, search_form
from isoglot.languages.words import clusters, is_unspaced, word_pattern

_ALPHABETIC = re.compile("[a-z\u00df-\u052f\u1e00-\u1fff]")
_SHORT = 4
"""Letters of the shortest Latin, Greek or Cyrillic word that is marked: below it most are function words."""


class Mark(NamedTuple):
    """A stretch of a text that matches the query.

    Attributes:
        start, end: its first character, and the first one after it.
        term: the query's word, or pair of characters, that it matches.
    """

    start: int
    end: int
    term: str


def marks(text: str, query: str) -> list[Mark]:
    """Stretches that match a word of the query, in order; those of scripts without spaces may overlap.

    A word matches when its search form is equal to the query's but for an ending: the query's `planet` marks
    `Planeten`. Where a script has no spaces, and in Korean, any two neighbouring characters of the query match, and
    one that stands alone in it.

    >>> marks("Die Planeten kreisen.", "planet")
    [Mark(start=4, end=12, term='planet')]
    """
    words, parts = _terms(query)
    if not words and not parts:
        return []
    beginnings = sorted((word for word in words if len(word) >= _SHORT), key=len, reverse=True)
    form, spans = aligned(text)
    found: list[Mark] = []

    def mark(start: int, end: int, term: str) -> None:
        found.append(Mark(spans[start][0], spans[end - 1][1], term))

    for match in word_pattern().finditer(form):
        start, end = match.span()
        word = match[0]
        if is_unspaced(word):
            ends = list(accumulate(map(len, clusters(word)), initial=start))
            for first, middle, last in zip(ends, ends[1:], [*ends[2:], end], strict=False):
                for until in dict.fromkeys((middle, last)):
                    if form[first:until] in parts:
                        mark(first, until, form[first:until])
            continue
        term = word if word in words else next((term for term in beginnings if word.startswith(term)), None)
        if term is not None:
            mark(start, end, term)
    return found


def _terms(query: str) -> tuple[set[str], set[str]]:
    """Words and signs of a query that are worth marking; pairs and lone characters of scripts without spaces."""
    words: set[str] = set()
    parts: set[str] = set()
    for word in word_pattern().findall(search_form(query)):
        if is_unspaced(word):
            own = clusters(word)
            parts.update(map("".join, pairwise(own)) if len(own) > 1 else own)
        else:
            words.add(word)
    telling = {word for word in words if len(word) >= _least(word)}
    return telling, parts


def _least(word: str) -> int:
    """Characters that a word has to have to be marked."""
    if _ALPHABETIC.match(word):
        return _SHORT
    return 2 if word.isalpha() else 1
