"""Check a filter against an index: its fields must exist, and hold values of the types they are compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeAlias, get_args

from isoglot.core.arguments import check_kind
from isoglot.core.suggestions import near_name
from isoglot.languages.codes import known_code
from isoglot.search.filters.parsing import parse_filter
from isoglot.search.filters.tokens import FilterError
from isoglot.search.filters.tree import Among, And, Compare, Condition, Date, Filter, Like, Not, Or, Value
from isoglot.search.filters.values import LISTS, OWN, Kind, kind_of

Fields: TypeAlias = Mapping[str, Collection[Kind]]
"""The fields of an index, each with the types of its values."""
OWN_FIELDS: Fields = {name: ["text"] for name in OWN}
_SHOWN = 40
_NAMES: Mapping[Kind, str] = {
    "text": "texts", "number": "numbers", "boolean": "true and false", "date": "dates", "texts": "lists of texts",
    "numbers": "lists of numbers",
}  # fmt: skip


def checked_filter(where: str | Filter, fields: Fields) -> Filter:
    """Return a filter that an index can evaluate, with field names and language codes as the index spells them.

    Args:
        where: as text, or parsed.
        fields: of the index.

    Raises:
        FilterError: it cannot be parsed, or names an unknown field, or one with another type of value.
        InputError: it is neither text nor a parsed filter.

    >>> checked_filter("lang = 'zh-CN' AND metadata.year > 1999", {**OWN_FIELDS, "year": ["number"]})
    And(parts=(Compare(field='lang', operator='=', value='zh', at=1), \
Compare(field='year', operator='>', value=1999.0, at=20)))
    """
    check_kind("where", where, (str, *get_args(Filter)), "a filter as text, such as 'year >= 2020'")
    return _checked(parse_filter(where) if isinstance(where, str) else where, fields)


def field_named(name: str, fields: Fields, place: str = "where") -> str:
    """Return the field that a name refers to: the name itself, or what follows `metadata.`.

    Raises:
        FilterError: there is no such field; the message lists the existing ones.
    """
    if name in fields:
        return name
    bare = name.removeprefix("metadata.")
    if bare in fields and bare != name and bare not in OWN:
        return bare
    near = near_name(name, fields)
    meant = f"; did you mean {near!r}?" if near else ";"
    raise FilterError(f"{place}: there is no field {name[:_SHOWN]!r}{meant} there are: {listed(fields)}")


def listed(fields: Fields) -> str:
    """Return a list of the fields for messages."""
    names = [
        name if name in OWN else f"{name[:_SHOWN]} ({', '.join(_NAMES[kind] for kind in sorted(kinds))})"
        for name, kinds in fields.items()
    ]
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _checked(tree: Filter, fields: Fields) -> Filter:
    if isinstance(tree, Not):
        return Not(_checked(tree.inner, fields))
    if isinstance(tree, And):
        return And(tuple(_checked(part, fields) for part in tree.parts))
    if isinstance(tree, Or):
        return Or(tuple(_checked(part, fields) for part in tree.parts))
    tree = replace(tree, field=field_named(tree.field, fields, _place(tree)))
    kinds = fields[tree.field]
    if isinstance(tree, Compare):
        _comparable(tree, tree.value, kinds)
        if tree.operator != "=":
            _ordered(tree, tree.value, kinds)
        return replace(tree, value=_spelt(tree.field, tree.value))
    if isinstance(tree, Among):
        for value in tree.values:
            _comparable(tree, value, kinds)
        return replace(tree, values=tuple(_spelt(tree.field, value) for value in tree.values))
    if isinstance(tree, Like):
        if "text" not in kinds:
            raise FilterError(f"{_place(tree)}: {tree.field!r} holds {_held(kinds)}; LIKE is for single texts")
        return tree
    return tree


def _comparable(condition: Condition, value: Value, kinds: Collection[Kind]) -> None:
    kind = kind_of(value)
    if kind in kinds or LISTS.get(kind) in kinds:
        return
    remedy = ""
    if kind == "text" and not {"text", "texts"} & set(kinds):
        remedy = "; leave the quotes out" if isinstance(value, str) else ""
    elif {"text", "texts"} & set(kinds):
        remedy = "; write texts in single quotes"
    raise FilterError(
        f"{_place(condition)}: {condition.field!r} holds {_held(kinds)}, and {_written(value)} is none of them{remedy}"
    )


def _ordered(condition: Condition, value: Value, kinds: Collection[Kind]) -> None:
    if isinstance(value, bool):
        raise FilterError(f"{_place(condition)}: true and false have no order; compare with = or !=")
    if kind_of(value) not in kinds:
        raise FilterError(f"{_place(condition)}: {condition.field!r} holds {_held(kinds)}; lists take =, != and IN")


def _spelt(field: str, value: Value) -> Value:
    return (known_code(value) or value) if field == "lang" and isinstance(value, str) else value


def _place(condition: Condition) -> str:
    return f"where: character {condition.at}" if condition.at else "where"


def _held(kinds: Collection[Kind]) -> str:
    return " and ".join(_NAMES[kind] for kind in sorted(kinds)) or "nothing"


def _written(value: Value) -> str:
    if isinstance(value, Date):
        return "a date"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value[:_SHOWN]) if isinstance(value, str) else f"{value:g}"
