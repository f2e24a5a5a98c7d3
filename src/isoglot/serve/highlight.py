"""Marks the query's words in a text, for scripts with and without spaces between words."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import NamedTuple

from isoglot.languages.normal_form import aligned, search_form
from isoglot.languages.words import clusters, is_unspaced, word_pattern

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
    `Planeten`. Where a script has no spaces, and in Korean, any two neighbouring characters of the query match, and
    one that stands alone in it.

    >>> [piece.text for piece in highlight("Die Planeten kreisen.", "planet") if piece.marked]
    ['Planeten']
    >>> [piece.text for piece in highlight("太阳能电池板发电", "太阳能") if piece.marked]
    ['太阳能']
    """
    words, parts = _terms(query)
    if not words and not parts:
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
            ends = list(accumulate(map(len, clusters(word)), initial=start))
            for first, middle, last in zip(ends, ends[1:], [*ends[2:], end], strict=False):
                if form[first:last] in parts:
                    mark(first, last)
                if form[first:middle] in parts:
                    mark(first, middle)
        elif word in words or word.startswith(beginnings):
            mark(start, end)
    return _pieces(text, marked)


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
