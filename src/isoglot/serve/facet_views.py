"""Facets as the page shows them: counts of metadata values, each with the filter that narrows the search to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from isoglot.search.filters.tokens import WORDS
from isoglot.search.lookup import Facet
from isoglot.search.query_checks import clean_query
from isoglot.serve.cleaning import as_whole, shown

MOST_FIELDS = 6
_BUILT_IN = frozenset({"lang", "source", "document", "title", "id"})
_FEW = 30
_SHOWN = 8
_LONGEST = 80  # characters of a value that is shown
_NAME = re.compile(r"[^\W\d][\w.]*")


class ValueView(NamedTuple):
    """A value, the number of passages that have it, and the filter that keeps only those."""

    name: str
    passages: int
    where: str


class FacetView(NamedTuple):
    """A field with its most frequent values."""

    field: str
    values: list[ValueView]


def counted_fields(fields: Sequence[str]) -> list[str]:
    """Return the metadata fields to count: the first few in alphabetical order, without the built-in ones."""
    return sorted(name for name in fields if name not in _BUILT_IN | {"url", "date"})[:MOST_FIELDS]


def facet_views(facets: Mapping[str, Facet], where: str) -> list[FacetView]:
    """Return the facets worth showing: those with at least two and not too many values.

    Values that are too long to be a label, or that an address cannot hold, are left out.

    Args:
        facets: counted facets, by field.
        where: the current filter, to which each value's condition is added.
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
    r"""Return a filter with one more condition, `field = value`.

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
