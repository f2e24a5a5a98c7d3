"""Split a filter's text into tokens (names, values and operators), each with its position."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, cast

from isoglot.core.errors import InputError

LONGEST = 16_384  # characters

Kind = Literal["name", "word", "text", "number", "date", "sign", "end"]
WORDS = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "TRUE", "FALSE"})

_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<date>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2})?)?(?![\w-]))
  | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.-]))
  | (?P<text>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<name>[^\W\d][\w.-]*)
  | (?P<sign><=|>=|!=|<>|=|<|>|\(|\)|,)
    """,
    re.VERBOSE,
)


class FilterError(InputError):
    """An invalid filter; the message says where it is wrong, and what was expected."""


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: what it is; a `word` is a keyword, a `name` the name of a field.
        value: keywords in capitals; names and texts without their quotes; otherwise as written.
        at: position of its first character, from 1.
    """

    kind: Kind
    value: str
    at: int


def tokens(text: str) -> list[Token]:
    """Split a filter into tokens; the last one marks the end.

    Raises:
        FilterError: a character that no token begins with, an open quote, or more than 16,384 characters.

    >>> [token.value for token in tokens("year >= 2020 and source = 'it''s'")]
    ['year', '>=', '2020', 'AND', 'source', '=', "it's", '']
    """
    if len(text) > LONGEST:
        raise FilterError(f"where: the filter has {len(text)} characters; expected at most {LONGEST}")
    broken = _SURROGATE.search(text)
    if broken is not None:
        raise FilterError(f"where: character {broken.start() + 1} is incomplete; write the filter in UTF-8")
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise FilterError(_unexpected(text, place))
        kind, value, at = match.lastgroup, match[0], place + 1
        place = match.end()
        if kind == "name" and value.upper() in WORDS:
            found.append(Token("word", value.upper(), at))
        elif kind == "text":
            found.append(Token("text", value[1:-1].replace("''", "'"), at))
        elif kind == "quoted":
            found.append(Token("name", value[1:-1].replace('""', '"'), at))
        elif kind != "space":
            found.append(Token(cast("Kind", kind), value, at))
    return [*found, Token("end", "", len(text) + 1)]


def _unexpected(text: str, place: int) -> str:
    char, where = text[place], f"where: character {place + 1}: "
    if char == "'":
        return f"{where}this quote is never closed; a quote within a text is written twice: 'it''s'"
    if char == '"':
        return f'{where}this quote is never closed, or it is empty; write names in double quotes: "my field"'
    if char.isdigit() or (char in "+-." and text[place + 1 : place + 2].isdigit()):
        piece = re.match(r"\S+", text[place:])
        return (
            f"{where}{piece[0][:40] if piece else char!r} is neither a number nor a date; "
            "write texts in single quotes, dates as 2024-05-01, names that begin like this in double quotes"
        )
    return f"{where}{char!r} is not allowed here; write texts in single quotes, names that contain it in double quotes"
