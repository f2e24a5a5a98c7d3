"""Marks the query's words in a text, for scripts with and without spaces between words."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

# Written without spaces between words: Han, kana, Thai, Lao, Khmer, Myanmar.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_ALPHABETIC = re.compile("[A-Za-z\u00c0-\u052f\u1e00-\u1fff]")
_SHORT = 4
"""Letters of the shortest Latin, Greek or Cyrillic word that is marked: below it most are function words."""


class Piece(NamedTuple):
    """A stretch of text; `marked` when it matches the query."""

    text: str
    marked: bool


def highlight(text: str, query: str) -> list[Piece]:
    """Cut a text into pieces, those that match a word of the query marked; joined they are the text.

    A word matches when it is equal but for case, accents of composition and an ending: the query's `planet` marks
    `Planeten`. Where a script has no spaces, any two neighbouring characters of the query match.

    >>> [piece.text for piece in highlight("Die Planeten kreisen.", "planet") if piece.marked]
    ['Planeten']
    >>> [piece.text for piece in highlight("太阳能电池板发电", "太阳能") if piece.marked]
    ['太阳能']
    """
    words, pairs = _terms(query)
    if not words and not pairs:
        return [Piece(text, marked=False)] if text else []
    marked = bytearray(len(text))
    for start, end in _words(text):
        word = text[start:end]
        if _UNSPACED.fullmatch(word):
            for place in range(start, end - 1):
                if text[place : place + 2] in pairs:
                    marked[place : place + 2] = b"\1\1"
        elif _matches(_fold(word), words):
            marked[start:end] = b"\1" * (end - start)
    return _pieces(text, marked)


def _terms(query: str) -> tuple[set[str], set[str]]:
    words: set[str] = set()
    pairs: set[str] = set()
    for start, end in _words(query):
        word = query[start:end]
        if _UNSPACED.fullmatch(word):
            pairs.update(word[place : place + 2] for place in range(len(word) - 1))
        else:
            words.add(_fold(word))
    telling = {word for word in words if len(word) >= (_SHORT if _ALPHABETIC.match(word) else 2) or word.isdigit()}
    return telling, pairs


def _words(text: str) -> list[tuple[int, int]]:
    """Where words start and end; a combining mark belongs to its word, an unspaced stretch is a word of its own."""
    spans: list[tuple[int, int]] = []
    start = None
    unspaced = False
    for place, character in enumerate(text):
        inside = character == "_" or unicodedata.category(character)[0] in "LMN"
        here = inside and _UNSPACED.match(character) is not None
        if start is not None and (not inside or here != unspaced):
            spans.append((start, place))
            start = None
        if inside and start is None:
            start, unspaced = place, here
    if start is not None:
        spans.append((start, len(text)))
    return spans


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _matches(word: str, terms: set[str]) -> bool:
    return word in terms or any(len(term) >= _SHORT and word.startswith(term) for term in terms)


def _pieces(text: str, marked: bytearray) -> list[Piece]:
    pieces: list[Piece] = []
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or marked[place] != marked[start]:
            pieces.append(Piece(text[start:place], bool(marked[start])))
            start = place
    return pieces
