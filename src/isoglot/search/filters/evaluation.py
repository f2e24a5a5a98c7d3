"""Evaluate a filter on a passage: the reference that every store must agree with."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from isoglot.search.filters.tree import Among, And, Date, Filter, Like, Missing, Not, Or, Value
from isoglot.search.filters.values import LISTS, Kind, Stored, kind_of, passage_values
from isoglot.search.passage import Passage

_PIECE = re.compile(r"\\(.)|.", re.DOTALL)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(tree: Filter, passage: Passage) -> bool:
    """Return whether a passage meets a (checked) filter.

    >>> from isoglot.search.filters.parsing import parse_filter
    >>> passage = Passage("a", "a", "Text", "de", metadata={"year": 2021})
    >>> [matches(parse_filter(text), passage) for text in ("year > 2020", "NOT year > 2020", "place != 'Bern'")]
    [True, False, True]
    """
    return true_of(tree, passage_values(passage))


def like(pattern: str, text: str) -> bool:
    r"""Return whether a text matches a LIKE pattern.

    Pieces between `%` are searched for from left to right without backtracking, so that no pattern is slow.

    >>> like("docs/%.md", "docs/a.md"), like(r"50\%", "500"), like("%a_%_c", "xabc"), like("%a_%_c", "xabdc")
    (True, False, False, True)
    """
    (first, length), *others = _pieces(pattern)
    if not others:
        return first.fullmatch(text) is not None
    if first.match(text) is None:
        return False
    place = length
    for piece, length in others[:-1]:
        found = piece.search(text, place)
        if found is None:
            return False
        place = found.start() + length
    last, length = others[-1]
    end = len(text) - length
    return end >= place and last.match(text, end) is not None


@lru_cache(maxsize=256)
def _pieces(pattern: str) -> tuple[tuple[re.Pattern[str], int], ...]:
    """Return the pieces between the `%` of a pattern, each with its length in characters."""
    pieces: list[list[str]] = [[]]
    for found in _PIECE.finditer(pattern):
        if found[0] == "%":
            pieces.append([])
        else:
            pieces[-1].append("." if found[0] == "_" else re.escape(found[1] or found[0]))
    return tuple((re.compile("".join(piece), re.DOTALL), len(piece)) for piece in pieces)


def true_of(tree: Filter, values: Mapping[str, Mapping[Kind, Stored]]) -> bool:
    """Return whether a passage's values, as `passage_values` returns them, meet a filter."""
    if isinstance(tree, Not):
        return not true_of(tree.inner, values)
    if isinstance(tree, And):
        return all(true_of(part, values) for part in tree.parts)
    if isinstance(tree, Or):
        return any(true_of(part, values) for part in tree.parts)
    held = values.get(tree.field, {})
    if isinstance(tree, Missing):
        return not held
    if isinstance(tree, Like):
        return "text" in held and like(tree.pattern, str(held["text"]))
    if isinstance(tree, Among):
        return any(_compared(held, "=", value) for value in tree.values)
    return _compared(held, tree.operator, tree.value)


def _compared(held: Mapping[Kind, Stored], sign: str, value: Value) -> bool:
    kind = kind_of(value)
    if kind in held and _single(held[kind], sign, value):
        return True
    among = held.get(LISTS[kind]) if kind in LISTS else None
    return sign == "=" and isinstance(among, list) and value in among


def _single(held: Any, sign: str, value: Value) -> bool:
    if not isinstance(value, Date):
        return _ORDER[sign](held, value)
    if sign == "=":
        return bool(value.start <= held < value.end)
    return _ORDER[sign](held, value.start if sign in {"<", ">="} else value.end - 1)
