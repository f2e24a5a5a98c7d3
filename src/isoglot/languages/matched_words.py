"""Find the words of a query in a text, for scripts with and without spaces between words."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise, takewhile
from typing import NamedTuple

from isoglot.languages.compounds import compounds
from isoglot.languages.normal_form import aligned, search_form
from isoglot.languages.word_pattern import clusters, is_unspaced, word_pattern
from isoglot.languages.words import beginning, stem

_ALPHABETIC = re.compile("[a-z\u00df-\u052f\u1e00-\u1fff]")
_SHORT = 4
"""Minimum length of a Latin, Greek or Cyrillic word to be marked: most shorter ones are function words."""


class Mark(NamedTuple):
    """A span of a text that matches the query.

    Attributes:
        start, end: its first character, and the one after its last.
        term: the word of the query, or the pair of characters, that it matches.
    """

    start: int
    end: int
    term: str


def marks(text: str, query: str) -> list[Mark]:
    """Return the spans that match a word of the query, in order; they may overlap.

    A word matches if its search form starts with the query's (is equal to it, for short ones): the query's `planet`
    marks `Planeten`. So does another form of a word, which search finds by its `beginning`, if three fifths of the
    longer one are the same, from the first letter on: `planets` marks `Planeten`, and not `Planung`. Words with signs
    match as search finds them: `email` marks `E-Mail`. In scripts without spaces, and in Korean, any two adjacent
    characters of the query match, and so does one that stands alone in the query.

    >>> marks("Die Planeten kreisen.", "planet")
    [Mark(start=4, end=12, term='planet')]
    """
    words, parts = _terms(query)
    if not words and not parts:
        return []
    beginnings = sorted((word for word in words if len(word) >= _SHORT), key=len, reverse=True)
    begun: dict[str, list[str]] = {}
    for word in sorted(words):
        begun.setdefault(beginning(word), []).append(word)
    begun.pop("", None)
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
        if term is None:
            term = next((term for term in begun.get(beginning(word), ()) if _are_akin(word, term)), None)
        if term is not None:
            mark(start, end, term)
    for term, start, end in compounds(form):
        if term in words:
            mark(start, end, term)
    return sorted(found)


def _are_akin(word: str, other: str) -> bool:
    """Return whether three fifths of the longer of two words are the same, from the first letter on."""
    one, two = stem(word), stem(other)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
    return 5 * same >= 3 * max(len(one), len(two))


def _terms(query: str) -> tuple[set[str], set[str]]:
    """Return the query's words, compounds and symbols worth marking; and, in scripts without spaces, pairs and lone
    characters.
    """
    words: set[str] = set()
    parts: set[str] = set()
    form = search_form(query)
    for word in word_pattern().findall(form):
        if is_unspaced(word):
            own = clusters(word)
            parts.update(map("".join, pairwise(own)) if len(own) > 1 else own)
        else:
            words.add(word)
    telling = {word for word in words if len(word) >= _least(word)}
    return telling | {term for term, _, _ in compounds(form)}, parts


def _least(word: str) -> int:
    """Return the minimum length of a word to be marked."""
    if not word.isalpha():
        return 1
    return _SHORT if _ALPHABETIC.match(word) else 2
