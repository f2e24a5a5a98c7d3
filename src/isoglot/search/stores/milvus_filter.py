"""Translate a filter into the expression that Milvus evaluates before it searches.

Versions of Milvus differ in the negation of a comparison with a missing value, so expressions never negate one: `NOT`
is pushed down to the comparisons, each of which then states its result for a missing value.
"""

from __future__ import annotations

from collections.abc import Sequence

from isoglot.core.errors import InputError
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import balanced, column
from isoglot.search.filters.tree import Among, And, Compare, Date, Filter, Like, Missing, Not, Or, Value
from isoglot.search.filters.values import LISTS, OWN, Kind, kind_of

COLUMNS = "fields"  # the JSON field with the metadata, under the names that `column` returns
_OPPOSITE = {"=": "!=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def expression_of(langs: Sequence[str] | None, where: Filter | None, fields: Fields) -> str:
    """Return the expression that passages must meet; empty for all passages.

    Raises:
        InputError: Milvus cannot evaluate the filter.

    >>> from isoglot.search.filters.parsing import parse_filter
    >>> expression_of(["de"], parse_filter("NOT year > 2000"), {"year": ["number"]})
    'lang in ["de"] and ((not (exists fields["meta_number_year"])) or fields["meta_number_year"] <= 2000.0)'
    """
    parts = [] if langs is None else [f"lang in {_list(langs)}"]
    if where is not None:
        parts.append(_expression(where, fields, True))
    return " and ".join(parts)


def equal(field: str, value: str) -> str:
    """Return a condition: one of the passages' own fields equals this text."""
    return f"{field} == {_literal(value)}"


def _expression(tree: Filter, fields: Fields, holds: bool) -> str:
    """Return the expression of a filter that holds, or (`holds` False) of its negation."""
    if isinstance(tree, Not):
        return _expression(tree.inner, fields, not holds)
    if isinstance(tree, (And, Or)):
        sign = " and " if isinstance(tree, And) is holds else " or "
        return balanced([_expression(part, fields, holds) for part in tree.parts], sign)
    if isinstance(tree, Missing):
        absent = [_there(_key(tree.field, kind), not holds) for kind in sorted(fields[tree.field])]
        return balanced(absent, " and " if holds else " or ")
    return balanced(_tests(tree, fields, holds), " or " if holds else " and ")


def _tests(tree: Compare | Among | Like, fields: Fields, holds: bool) -> list[str]:
    """Return tests of which one must hold or, for a negation, all."""
    if isinstance(tree, Like):
        if "_" in tree.pattern or "\\" in tree.pattern:
            raise InputError(
                f"where: {tree.field!r} LIKE {tree.pattern!r}: Milvus patterns support only %; leave _ and \\ out, or "
                "search the index folder"
            )
        key = _key(tree.field, "text")
        return [_test(key, f"{'' if holds else 'not '}({key} like {_literal(tree.pattern)})", holds)]
    if isinstance(tree, Compare) and tree.operator != "=":
        key = _key(tree.field, kind_of(tree.value))
        value: Value | int = tree.value
        if isinstance(value, Date):
            value = value.start if tree.operator in {"<", ">="} else value.end - 1
        sign = tree.operator if holds else _OPPOSITE[tree.operator]
        return [_test(key, f"{key} {sign} {_literal(value)}", holds)]
    return _equal(tree.field, tree.values if isinstance(tree, Among) else (tree.value,), fields, holds)


def _equal(field: str, values: Sequence[Value], fields: Fields, holds: bool) -> list[str]:
    tests = []
    for day in values:
        if isinstance(day, Date):
            key = _key(field, "date")
            ends = (
                f"{key} >= {day.start} and {key} < {day.end}" if holds else f"{key} < {day.start} or {key} >= {day.end}"
            )
            tests.append(_test(key, f"({ends})", holds))
    kinds: tuple[Kind, ...] = ("text", "number", "boolean")
    for kind in kinds:
        wanted = [value for value in values if kind_of(value) == kind]
        if wanted and kind in fields[field]:
            key = _key(field, kind)
            tests.append(_test(key, _among(key, wanted, holds), holds))
        if wanted and LISTS.get(kind) in fields[field]:
            key = _key(field, LISTS[kind])
            tests.append(_test(key, f"{'' if holds else 'not '}json_contains_any({key}, {_list(wanted)})", holds))
    return tests


def _among(key: str, values: Sequence[Value], holds: bool) -> str:
    if key in OWN:
        return f"{key} {'in' if holds else 'not in'} {_list(values)}"
    # Milvus Lite has no IN for values in JSON.
    each = [f"{key} {'==' if holds else '!='} {_literal(value)}" for value in values]
    return balanced(each, " or " if holds else " and ")


def _test(key: str, test: str, holds: bool) -> str:
    """Combine a test of a value with one for its presence; comparing a missing value is false."""
    if not holds:
        return f"({_there(key, False)} or {test})"
    return f"({_there(key, True)} and {test})" if key in OWN else f"({test})"


def _there(key: str, there: bool) -> str:
    """Return a test of whether a value exists or not; missing values of the passages' own fields are empty texts."""
    if key in OWN:
        return f'{key} {"!=" if there else "=="} ""'
    # In brackets, since Milvus applies `exists` to everything that follows, `or` included.
    return f"(exists {key})" if there else f"(not (exists {key}))"


def _key(field: str, kind: Kind) -> str:
    return field if field in OWN else f'{COLUMNS}["{column(field, kind)}"]'


def _list(values: Sequence[Value]) -> str:
    return f"[{', '.join(map(_literal, values))}]"


def _literal(value: Value | int) -> str:
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPED)}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)
