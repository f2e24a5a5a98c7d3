"""Translate a filter into the SQL that the stored index applies before it searches, on its own columns only."""

from __future__ import annotations

import re
from collections.abc import Iterable

from isoglot.search.filters.checking import OWN_FIELDS, Fields
from isoglot.search.filters.tree import Among, And, Date, Filter, Like, Missing, Not, Or, Value
from isoglot.search.filters.values import LISTS, OWN, Kind, kind_of

PREFIX = "meta_"
_ODD = re.compile("[^a-z0-9]")
_ESCAPED = re.compile("_([0-9a-f]+)_")


def column(field: str, kind: Kind) -> str:
    """Return the column with a field's values of one type; its name has letters, digits and underscores only.

    >>> column("lang", "text"), column("by.Name", "number")
    ('lang', 'meta_number_by_2e__4e_ame')
    """
    return field if field in OWN else f"{PREFIX}{kind}_{_ODD.sub(lambda found: f'_{ord(found[0]):x}_', field)}"


def field_of(name: str) -> tuple[str, Kind] | None:
    """Return the field and type of a metadata column; None for any other column.

    >>> field_of("meta_number_by_2e__4e_ame"), field_of("vector")
    (('by.Name', 'number'), None)
    """
    for kind in _KINDS:
        if name.startswith(f"{PREFIX}{kind}_"):
            rest = name[len(PREFIX) + len(kind) + 1 :]
            return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), rest), kind
    return None


def fields_of(columns: Iterable[str]) -> Fields:
    """Return the fields in some columns, the passages' own fields first; other columns are ignored.

    >>> list(fields_of(["vector", "meta_number_year"]))
    ['lang', 'source', 'document', 'title', 'id', 'year']
    """
    found: dict[str, set[Kind]] = {}
    for field, kind in filter(None, map(field_of, columns)):
        found.setdefault(field, set()).add(kind)
    return {**OWN_FIELDS, **dict(sorted(found.items()))}


_KINDS: tuple[Kind, ...] = ("text", "number", "boolean", "date", "texts", "numbers")


def to_sql(tree: Filter, fields: Fields) -> str:
    """Return the SQL condition of a filter that `checked_filter` has checked against these fields.

    Every part of it is true or false, never null: a comparison with a missing value is false.
    """
    if isinstance(tree, Not):
        return f"(NOT {to_sql(tree.inner, fields)})"
    if isinstance(tree, (And, Or)):
        return balanced([to_sql(part, fields) for part in tree.parts], " AND " if isinstance(tree, And) else " OR ")
    kinds = fields[tree.field]
    if isinstance(tree, Missing):
        return balanced([f"({column(tree.field, kind)} IS NULL)" for kind in sorted(kinds)], " AND ")
    if isinstance(tree, Like):
        name = column(tree.field, "text")
        return f"({name} IS NOT NULL AND {name} LIKE {literal(_pattern(tree.pattern))})"
    if isinstance(tree, Among):
        return _among(tree, fields)
    parts = []
    kind = kind_of(tree.value)
    if kind in kinds:
        parts.append(_single(column(tree.field, kind), tree.operator, tree.value))
    if tree.operator == "=" and LISTS.get(kind) in kinds:
        name = column(tree.field, LISTS[kind])
        parts.append(f"({name} IS NOT NULL AND array_has({name}, {literal(tree.value)}))")
    return balanced(parts, " OR ")


def literal(value: Value) -> str:
    """Return a value as an SQL literal.

    >>> literal("it's"), literal(True), literal(2.0)
    ("'it''s'", 'true', '2.0')
    """
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.start) if isinstance(value, Date) else repr(value)


def _among(tree: Among, fields: Fields) -> str:
    """Return one IN, or one search in lists, for all values of a type."""
    kinds, parts = fields[tree.field], []
    days = [value for value in tree.values if isinstance(value, Date)]
    parts += [_single(column(tree.field, "date"), "=", day) for day in days]
    for kind in ("text", "number", "boolean"):
        wanted = [literal(value) for value in tree.values if kind_of(value) == kind]
        if wanted and kind in kinds:
            name = column(tree.field, kind)
            parts.append(f"({name} IS NOT NULL AND {name} IN ({', '.join(wanted)}))")
        if wanted and LISTS.get(kind) in kinds:
            name = column(tree.field, LISTS[kind])
            parts.append(f"({name} IS NOT NULL AND array_has_any({name}, [{', '.join(wanted)}]))")
    return balanced(parts, " OR ")


def _single(name: str, sign: str, value: Value) -> str:
    if not isinstance(value, Date):
        test = f"{name} {sign} {literal(value)}"
    elif sign == "=":
        test = f"{name} >= {value.start} AND {name} < {value.end}"
    else:
        test = f"{name} {sign} {value.start if sign in {'<', '>='} else value.end - 1}"
    return f"({name} IS NOT NULL AND {test})"


def _pattern(pattern: str) -> str:
    """Return the pattern without superfluous escapes, as SQL requires."""

    def escaped(found: re.Match[str]) -> str:
        char = found[1] or "\\"
        return f"\\{char}" if char in "%_\\" else char

    return re.sub(r"\\(.)|\\\Z", escaped, pattern, flags=re.DOTALL)


def balanced(parts: list[str], sign: str) -> str:
    """Join conditions in a balanced tree of brackets: a long chain would be a deep tree for an SQL parser."""
    if len(parts) < 2:
        return parts[0] if parts else "false"
    half = len(parts) // 2
    return f"({balanced(parts[:half], sign)}{sign}{balanced(parts[half:], sign)})"
