"""Whether a passage is as a filter says: what every store has to agree with."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from isoglot.search.filters.tree import Among, And, Date, Filter, Like, Missing, Not, Or, Value
from isoglot.search.filters.values import LISTS, Kind, Stored, kind_of, passage_values
from isoglot.search.index.protocol import Passage

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(tree: Filter, passage: Passage) -> bool:
    """Whether a passage is as a (checked) filter says.

    >>> from isoglot.search.filters.parsing import parse_filter
    >>> passage = Passage("a", "a", "Text", "de", metadata={"year": 2021})
    >>> [matches(parse_filter(text), passage) for text in ("year > 2020", "NOT year > 2020", "place != 'Bern'")]
    [True, False, True]
    """
    return true_of(tree, passage_values(passage))


def like(pattern: str) -> re.Pattern[str]:
    r"""The pattern of LIKE as a regular expression.

    >>> bool(like("docs/%.md").fullmatch("docs/a.md")), bool(like(r"50\%").fullmatch("500"))
    (True, False)
    """
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        char = pattern[place]
        if char == "\\" and place + 1 < len(pattern):
            place += 1
            parts.append(re.escape(pattern[place]))
        else:
            parts.append({"%": ".*", "_": "."}.get(char, re.escape(char)))
        place += 1
    return re.compile("".join(parts), re.DOTALL)


def true_of(tree: Filter, values: Mapping[str, Mapping[Kind, Stored]]) -> bool:
    """The same of a passage's values, as `passage_values` gives them."""
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
        return "text" in held and bool(like(tree.pattern).fullmatch(str(held["text"])))
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
