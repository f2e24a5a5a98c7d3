"""Marks the query's words in a text, for scripts with and without spaces between words."""

from __future__ import annotations

import re
from typing import NamedTuple

from isoglot.languages.normal_form import aligned, search_form
from isoglot.languages.words import is_unspaced, word_pattern

_ALPHABETIC = re.compile("[a-z\u00df-\u052f\u1e00-\u1fff]")
_SHORT = 4
"""Letters of the shortest Latin, Greek or Cyrillic word that is marked: below it most are function words."""


class Piece(NamedTuple):
    """A stretch of text; `marked` when it matches the query."""

    text: str
    marked: bool


def highlight(text: str, query: str) -> list[Piece]:
    """Cut a text into pieces, those that match a word of the query marked; joined they are the text.

    A word matches when its search form is equal to the query's but for an ending: the query's `planet` marks
    `Planeten`. Where a script has no spaces, any two neighbouring characters of the query match.

    >>> [piece.text for piece in highlight("Die Planeten kreisen.", "planet") if piece.marked]
    ['Planeten']
    >>> [piece.text for piece in highlight("太阳能电池板发电", "太阳能") if piece.marked]
    ['太阳能']
    """
    words, pairs = _terms(query)
    if not words and not pairs:
        return [Piece(text, marked=False)] if text else []
    beginnings = tuple(word for word in words if len(word) >= _SHORT)
    form, spans = aligned(text)
    marked = bytearray(len(text))

    def mark(start: int, end: int) -> None:
        first, last = spans[start][0], spans[end - 1][1]
        marked[first:last] = b"\1" * (last - first)

    for found in word_pattern().finditer(form):
        start, end = found.span()
        word = found[0]
        if is_unspaced(word):
            for place in range(start, end - 1):
                if form[place : place + 2] in pairs:
                    mark(place, place + 2)
        elif word in words or word.startswith(beginnings):
            mark(start, end)
    return _pieces(text, marked)


def _terms(query: str) -> tuple[set[str], set[str]]:
    """Words of a query that are worth marking, and pairs of neighbouring characters of unspaced scripts."""
    words: set[str] = set()
    pairs: set[str] = set()
    for word in word_pattern().findall(search_form(query)):
        if is_unspaced(word):
            pairs.update(word[place : place + 2] for place in range(len(word) - 1))
        else:
            words.add(word)
    telling = {word for word in words if len(word) >= (_SHORT if _ALPHABETIC.match(word) else 2) or word.isdigit()}
    return telling, pairs


def _pieces(text: str, marked: bytearray) -> list[Piece]:
    """Cut where marking begins and ends."""
    pieces: list[Piece] = []
    start = 0
    while start < len(text):
        end = marked.find(not marked[start], start)
        end = len(text) if end < 0 else end
        pieces.append(Piece(text[start:end], bool(marked[start])))
        start = end
    return pieces
