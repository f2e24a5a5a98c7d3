"""Columns of the passages table for filters: one per metadata field and type of value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoglot.search.filters.sql import PREFIX, column, field_of
from isoglot.search.filters.values import Kind, metadata_values, numbers_beside
from isoglot.search.index.protocol import Tally
from isoglot.search.passage import Passage

MOST = 256  # columns of an index
LONGEST_NAME = 200
_LISTS: tuple[Kind, ...] = ("texts", "numbers")
_TYPES: Mapping[Kind, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.int64(),
    "texts": pa.list_(pa.string()),
    "numbers": pa.list_(pa.float64()),
}


def field_columns(passages: Sequence[Passage]) -> dict[str, list[Any]]:
    """Return columns of the passages' metadata; consecutive passages of one document are converted once."""
    found: dict[str, list[Any]] = {}
    metadata: Mapping[str, Any] | None = None
    values: dict[str, Any] = {}
    for row, passage in enumerate(passages):
        if passage.metadata is not metadata:
            metadata, values = passage.metadata, _values(passage)
        for name, value in values.items():
            found.setdefault(name, [None] * len(passages))[row] = value
    return found


def field_arrays(passages: Sequence[Passage]) -> dict[str, pa.Array[Any]]:
    """Return `field_columns` as typed arrays, sorted by name."""
    found = field_columns(passages)
    types = {name: known[1] for name in found if (known := field_of(name)) is not None}
    return {name: pa.array(found[name], _TYPES[types[name]]) for name in sorted(found)}


def room_for(names: Sequence[str], schema: pa.Schema) -> tuple[pa.Schema, set[str]]:
    """Return the columns that must be added to a table, and the fields that exceed its limit of columns."""
    room = MOST - sum(name.startswith(PREFIX) for name in schema.names)
    wanted: list[tuple[str, pa.DataType]] = []
    over: set[str] = set()
    for name in sorted(set(names) - set(schema.names)):
        field = field_of(name)
        if field is None:
            continue
        if len(wanted) < room and len(field[0]) <= LONGEST_NAME:
            wanted.append((name, _TYPES[field[1]]))
        else:
            over.add(field[0])
    return pa.schema(wanted), over


def add_up(tally: Tally, held: Mapping[Kind, pa.Array[Any]]) -> Tally:
    """Add further rows of one field, given as columns by type, to a tally."""
    rows = len(next(iter(held.values())))
    counts = Counter(tally.counts)
    any_value = np.zeros(rows, bool)
    lists = {kind: held[kind].to_pylist() for kind in _LISTS if kind in held}
    for kind in ("text", "number", "boolean", *_LISTS):
        if kind not in held:
            continue
        array = held[kind]
        there = pc.is_valid(array).to_numpy(zero_copy_only=False)
        # A text that also parses as a number counts as text.
        if kind in lists:
            array = pa.array([value for values in _counted(kind, lists) for value in dict.fromkeys(values)])
        else:
            array = array.filter(pa.array(there & ~any_value))
        found = pc.value_counts(array)
        # Arrow distinguishes -0.0 from 0.0; filters do not.
        values: list[Any] = found.field(0).to_pylist()
        for value, count in zip(values, np.asarray(found.field(1)).tolist(), strict=True):
            counts[value + 0.0 if isinstance(value, float) else value] += count
        any_value |= there
    return Tally(counts, tally.passages + rows, tally.without + int(np.count_nonzero(~any_value)))


def _counted(kind: Kind, lists: Mapping[Kind, list[Any]]) -> Iterator[Sequence[Any]]:
    """Yield the values of each row's list that count as this type."""
    if kind == "numbers" and "texts" in lists:
        for texts, numbers in zip(lists["texts"], lists["numbers"], strict=True):
            yield numbers_beside(texts or (), numbers or ())
    else:
        yield from (values or () for values in lists[kind])


def _values(passage: Passage) -> dict[str, Any]:
    return {
        column(field, kind): value
        for field, kinds in metadata_values(passage.metadata).items()
        for kind, value in kinds.items()
    }
