"""Translate a filter into the conditions that Qdrant applies before it searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from isoglot.core.errors import InputError
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import column
from isoglot.search.filters.tree import Among, And, Compare, Date, Filter, Like, Missing, Not, Or, Value
from isoglot.search.filters.values import LISTS, kind_of

_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def condition_of(langs: Sequence[str] | None, where: Filter | None, fields: Fields) -> models.Filter | None:
    """Return the condition that passages must meet; None for all passages.

    Raises:
        InputError: Qdrant cannot evaluate the filter.
    """
    parts: list[Any] = []
    if langs is not None:
        parts.append(models.FieldCondition(key="lang", match=models.MatchAny(any=list(langs))))
    if where is not None:
        parts.append(_condition(where, fields))
    return models.Filter(must=parts) if parts else None


def _condition(tree: Filter, fields: Fields) -> Any:
    if isinstance(tree, Not):
        return models.Filter(must_not=[_condition(tree.inner, fields)])
    if isinstance(tree, And):
        return models.Filter(must=[_condition(part, fields) for part in tree.parts])
    if isinstance(tree, Or):
        return models.Filter(should=[_condition(part, fields) for part in tree.parts])
    kinds = fields[tree.field]
    if isinstance(tree, Missing):
        keys = [column(tree.field, kind) for kind in sorted(kinds)]
        return models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key=key)) for key in keys])
    if isinstance(tree, Like):
        raise InputError(
            f"where: {tree.field!r} LIKE: Qdrant compares texts as a whole; use = or IN, or search the index folder"
        )
    if isinstance(tree, Among):
        equal = [part for value in tree.values for part in _equal(tree.field, value, fields)]
        return models.Filter(should=equal)
    if tree.operator == "=":
        return models.Filter(should=_equal(tree.field, tree.value, fields))
    return _ordered(tree)


def _equal(field: str, value: Value, fields: Fields) -> list[Any]:
    """Return conditions of which one must hold: a field has a value, or a list that contains it."""
    kind = kind_of(value)
    keys = [column(field, one) for one in (kind, LISTS.get(kind)) if one is not None and one in fields[field]]
    if isinstance(value, Date):
        return [models.FieldCondition(key=key, range=models.Range(gte=value.start, lt=value.end)) for key in keys]
    if isinstance(value, (str, bool)):
        return [models.FieldCondition(key=key, match=models.MatchValue(value=value)) for key in keys]
    return [models.FieldCondition(key=key, range=models.Range(gte=value, lte=value)) for key in keys]


def _ordered(tree: Compare) -> Any:
    value = tree.value
    if isinstance(value, str):
        raise InputError(
            f"where: {tree.field!r} {tree.operator}: Qdrant does not order texts; compare numbers or dates, or search "
            "the index folder"
        )
    if isinstance(value, Date):
        value = value.start if tree.operator in {"<", ">="} else value.end - 1
    limits = models.Range(**{_RANGES[tree.operator]: value})
    return models.FieldCondition(key=column(tree.field, kind_of(tree.value)), range=limits)
