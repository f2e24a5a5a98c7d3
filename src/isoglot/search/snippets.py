"""The part of a passage with most of a query's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from unicodedata import category

from isoglot.core.errors import InputError
from isoglot.languages.matched_words import Mark, marks

CHARACTERS = 240
SHORTEST, LONGEST = 40, 2000


class Snippet(NamedTuple):
    """A part of a text.

    Attributes:
        text: the part, unchanged.
        start: offset of its first character in the whole text.
        marks: (start, end) of each match, as offsets in the part.
        before, after: whether the whole text goes on before or after the part.
    """

    text: str
    start: int
    marks: tuple[tuple[int, int], ...]
    before: bool
    after: bool


def snippet(text: str, query: str, characters: int = CHARACTERS) -> Snippet:
    """Return the part of a text with most of the query's words; its beginning if it has none of them.

    Words are matched as by `isoglot.languages.matched_words.marks`. If possible, the part begins and ends at a space.

    Args:
        text: of a passage.
        query: the query whose words are looked for.
        characters: length of the part at most, 40 to 2000.

    Raises:
        InputError: `characters` is out of range.

    >>> part = snippet("x " * 50 + "die Planeten kreisen " + "y " * 50, "planet", 40)
    >>> part.text, [part.text[start:end] for start, end in part.marks]
    ('x x x x x die Planeten kreisen y y y y', ['Planeten'])
    """
    if not SHORTEST <= characters <= LONGEST:
        raise InputError(f"snippet {characters}: expected {SHORTEST} to {LONGEST} characters")
    found = marks(text, query)
    start, end = _window(text, found, characters)
    return Snippet(text[start:end], start, _joined(found, start, end), start > 0, end < len(text))


def _window(text: str, found: Sequence[Mark], characters: int) -> tuple[int, int]:
    if len(text) <= characters:
        return 0, len(text)
    start = first = 0
    most = (0, 0)
    terms: Counter[str] = Counter()
    past = 0  # the first mark that ends after the window
    for place, mark in enumerate(found):
        while past < len(found) and found[past].end <= mark.start + characters:
            terms[found[past].term] += 1
            past += 1
        score = len(terms), past - place
        if score > most:
            most, first = score, mark.start
            # Center the words in the window.
            start = mark.start - (characters - (found[past - 1].end - mark.start)) // 2
        if past > place:
            terms -= Counter((mark.term,))
        else:  # a word that is longer than the window
            past = place + 1
    start = max(0, min(start, len(text) - characters))
    end = start + characters
    last = max((mark.end for mark in found if mark.end <= end), default=start)
    if start:
        blank = next(
            (place for place in range(start, min(first, start + characters // 4)) if text[place].isspace()), -1
        )
        start = blank + 1 if blank >= 0 else _whole(text, start, 1)
    if end < len(text):
        blanks = range(end, max(last, end - characters // 4), -1)
        end = next((place for place in blanks if text[place].isspace()), _whole(text, end, -1))
    return start, max(start, end)


def _whole(text: str, place: int, step: int) -> int:
    """Return the nearest offset that does not separate a character from its combining marks."""
    while 0 < place < len(text) and category(text[place])[0] == "M":
        place += step
    return place


def _joined(found: Sequence[Mark], start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Return the marks within a part, relative to its start; adjacent and overlapping ones are merged."""
    joined: list[tuple[int, int]] = []
    for mark in found:
        if mark.start < start or mark.end > end:
            continue
        first, last = mark.start - start, mark.end - start
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)
