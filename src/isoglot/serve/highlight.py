"""Mark the query's words in a text, in scripts with or without spaces between words."""

from __future__ import annotations

from typing import NamedTuple

from isoglot.languages.matched_words import marks


class Piece(NamedTuple):
    """A piece of text; `marked` if it matches the query."""

    text: str
    marked: bool


def highlight(text: str, query: str) -> list[Piece]:
    """Split a text into pieces, marking those that match a word of the query (see `marks`).

    >>> [piece.text for piece in highlight("Die Planeten kreisen.", "planet") if piece.marked]
    ['Planeten']
    >>> [piece.text for piece in highlight("太阳能电池板发电", "太阳能") if piece.marked]
    ['太阳能']
    """
    marked = bytearray(len(text))
    for first, last, _ in marks(text, query):
        marked[first:last] = b"\1" * (last - first)
    return _pieces(text, marked)


def _pieces(text: str, marked: bytearray) -> list[Piece]:
    """Split where marking begins and ends."""
    pieces: list[Piece] = []
    start = 0
    while start < len(text):
        end = marked.find(not marked[start], start)
        end = len(text) if end < 0 else end
        pieces.append(Piece(text[start:end], bool(marked[start])))
        start = end
    return pieces
