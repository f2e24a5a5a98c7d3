"""Counts of metadata beside the results, each value with the filter that narrows to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from isoglot.search.filters.tokens import WORDS
from isoglot.search.lookup import Facet
from isoglot.serve.cleaning import as_whole, clean_query, shown

MOST_FIELDS = 6
_BUILT_IN = frozenset({"lang", "source", "document", "title", "id"})
_FEW = 30
_SHOWN = 8
_LONGEST = 80  # characters of a value
_NAME = re.compile(r"[^\W\d][\w.]*")


class ValueView(NamedTuple):
    """A value, how many passages have it, and the filter that leaves those alone."""

    name: str
    passages: int
    where: str


class FacetView(NamedTuple):
    """A field with its most frequent values."""

    field: str
    values: list[ValueView]


def counted_fields(fields: Sequence[str]) -> list[str]:
    """Fields of metadata that may be worth counting; the first few, in alphabetical order."""
    return sorted(name for name in fields if name not in _BUILT_IN | {"url", "date"})[:MOST_FIELDS]


def facet_views(facets: Mapping[str, Facet], where: str) -> list[FacetView]:
    """Fields with at least two and not too many values: others tell nobody anything.

    Values that are whole texts are no names, and those that an address cannot hold no links.

    Args:
        facets: as counted.
        where: the filter there is; what is chosen is added to it.
    """
    found = []
    for field, facet in facets.items():
        if not 2 <= len(facet.counts) + facet.more <= _FEW:
            continue
        values = [
            ValueView(_label(value), count, narrowed(where, field, value))
            for value, count in facet.counts.items()
            if not isinstance(value, str) or (len(value) <= _LONGEST and clean_query(value) == value)
        ]
        if len(values) > 1:
            found.append(FacetView(shown(field), values[:_SHOWN]))
    return found


def narrowed(where: str, field: str, value: str | float | bool) -> str:
    r"""A filter with one more condition.

    >>> narrowed("", "year", 2020), narrowed("a = 1 OR b = 2", "my tag", "it's")
    ('year = 2020', '(a = 1 OR b = 2) AND "my tag" = \'it\'\'s\'')
    """
    plain = _NAME.fullmatch(field) and field.upper() not in WORDS
    name = field if plain else '"{}"'.format(field.replace('"', '""'))
    said = "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else _label(value)
    return f"({where}) AND {name} = {said}" if where else f"{name} = {said}"


def _label(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return shown(str(as_whole(value)))
