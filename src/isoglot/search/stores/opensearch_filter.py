"""Translate a filter into the conditions that OpenSearch applies before it searches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import column
from isoglot.search.filters.tree import Among, And, Compare, Date, Filter, Like, Missing, Not, Or, Value
from isoglot.search.filters.values import LISTS, Kind, kind_of
from isoglot.search.stores.opensearch_layout import term_of

_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_PIECE = re.compile(r"\\(.)|.", re.DOTALL)

Query = dict[str, Any]


def condition_of(langs: Sequence[str] | None, where: Filter | None, fields: Fields) -> Query:
    """Return the condition that passages must meet."""
    parts: list[Query] = []
    if langs is not None:
        parts.append({"terms": {"lang": list(map(term_of, langs))}})
    if where is not None:
        parts.append(_condition(where, fields))
    return all_of(parts)


def all_of(parts: Sequence[Query]) -> Query:
    """Return a query for what meets all of these conditions, without a score."""
    if not parts:
        return {"match_all": {}}
    return parts[0] if len(parts) == 1 else {"bool": {"filter": list(parts)}}


def none_of(parts: Sequence[Query]) -> Query:
    """Return a query for what meets none of these conditions."""
    return {"bool": {"must_not": list(parts)}}


def has(field: str, kind: Kind) -> Query:
    """Return a query for what has a value of this type in a field."""
    return {"exists": {"field": column(field, kind)}}


def wildcard(pattern: str) -> str:
    r"""Translate a LIKE pattern into an OpenSearch wildcard.

    >>> wildcard("docs/%.md"), wildcard(r"50\% o_f"), wildcard("what?*")
    ('docs/*.md', '50% o?f', 'what\\?\\*')
    """

    def written(found: re.Match[str]) -> str:
        if found[0] in {"%", "_"}:
            return "*" if found[0] == "%" else "?"
        char = found[1] or found[0]
        return f"\\{char}" if char in "*?\\" else char

    return _PIECE.sub(written, pattern)


def _condition(tree: Filter, fields: Fields) -> Query:
    if isinstance(tree, Not):
        return none_of([_condition(tree.inner, fields)])
    if isinstance(tree, And):
        return all_of([_condition(part, fields) for part in tree.parts])
    if isinstance(tree, Or):
        return _any_of([_condition(part, fields) for part in tree.parts])
    if isinstance(tree, Missing):
        return none_of([has(tree.field, kind) for kind in sorted(fields[tree.field])])
    if isinstance(tree, Like):
        return {"wildcard": {column(tree.field, "text"): {"value": wildcard(tree.pattern)}}}
    if isinstance(tree, Among):
        return _any_of(_among(tree, fields))
    if tree.operator == "=":
        return _any_of(_among(Among(tree.field, (tree.value,)), fields))
    return _ordered(tree)


def _any_of(parts: Sequence[Query]) -> Query:
    return parts[0] if len(parts) == 1 else {"bool": {"should": list(parts), "minimum_should_match": 1}}


def _among(tree: Among, fields: Fields) -> list[Query]:
    """Return conditions of which one must hold: a field has one of the values, or a list that contains it."""
    parts: list[Query] = []
    for value in tree.values:
        if isinstance(value, Date):
            parts.append({"range": {column(tree.field, "date"): {"gte": value.start, "lt": value.end}}})
    for kind in ("text", "number", "boolean"):
        wanted = [_plain(value) for value in tree.values if kind_of(value) == kind]
        for one in (kind, LISTS.get(kind)):
            if wanted and one is not None and one in fields[tree.field]:
                parts.append({"terms": {column(tree.field, one): wanted}})
    return parts


def _ordered(tree: Compare) -> Query:
    value = tree.value
    if isinstance(value, Date):
        value = value.start if tree.operator in {"<", ">="} else value.end - 1
    return {"range": {column(tree.field, kind_of(tree.value)): {_RANGES[tree.operator]: _plain(value)}}}


def _plain(value: Value | int) -> Any:
    return term_of(value) if isinstance(value, str) else value
