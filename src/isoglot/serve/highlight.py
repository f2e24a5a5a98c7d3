"""Marks the query's words in a text, for scripts with and without spaces between words."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple
from unicodedata import category, normalize

# Written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_STARTS_UNSPACED = re.compile(f"[{_UNSPACED}]")
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
    beginnings = tuple(word for word in words if len(word) >= _SHORT)
    marked = bytearray(len(text))
    for found in _word().finditer(text):
        start, end = found.span()
        word = found[0]
        if _STARTS_UNSPACED.match(word):
            for place in range(start, end - 1):
                if text[place : place + 2] in pairs:
                    marked[place : place + 2] = b"\1\1"
            continue
        folded = _fold(word)
        if folded in words or folded.startswith(beginnings):
            marked[start:end] = b"\1" * (end - start)
    return _pieces(text, marked)


def _terms(query: str) -> tuple[set[str], set[str]]:
    """Words of a query that are worth marking, and pairs of neighbouring characters of unspaced scripts."""
    words: set[str] = set()
    pairs: set[str] = set()
    for word in _word().findall(query):
        if _STARTS_UNSPACED.match(word):
            pairs.update(word[place : place + 2] for place in range(len(word) - 1))
        else:
            words.add(_fold(word))
    telling = {word for word in words if len(word) >= (_SHORT if _ALPHABETIC.match(word) else 2) or word.isdigit()}
    return telling, pairs


@cache
def _word() -> re.Pattern[str]:
    """A word with its combining marks, or a stretch of a script without spaces."""
    marks = "".join(character for character in map(chr, range(0x300, 0x10000)) if category(character)[0] == "M")
    return re.compile(f"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[\\w{marks}])+")


def _fold(word: str) -> str:
    return normalize("NFKC", word).casefold()


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
