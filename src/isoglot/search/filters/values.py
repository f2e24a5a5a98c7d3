"""Values of a passage's fields, by the types that they can be compared as."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

from isoglot.search.filters.tree import DAY, Date, Value
from isoglot.search.passage import Passage

Kind: TypeAlias = Literal["text", "number", "boolean", "date", "texts", "numbers"]
Stored: TypeAlias = str | float | bool | int | list[str] | list[float]
OWN = ("lang", "source", "document", "title", "id")
"""Fields that every passage has; a metadata field with one of these names is called `metadata.` and the name."""
LISTS: Mapping[str, Kind] = {"text": "texts", "number": "numbers"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:\d{2})?)?", re.ASCII)
_SURROGATES = re.compile("[\ud800-\udfff]")


def to_date(text: str) -> Date | None:
    """Parse an ISO 8601 day or time (UTC if there is no time zone); None if it is neither.

    >>> to_date("1970-01-02"), to_date("1970-01-01T01:00:00+01:00"), to_date("1970-02-30")
    (Date(start=86400000000, length=86400000000), Date(start=0, length=1), None)
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        when = datetime.fromisoformat(text)
        start = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None
    return Date(start, DAY if len(text) == 10 else 1)


def kind_of(value: Value) -> Kind:
    """Return the type of a filter's value."""
    if isinstance(value, Date):
        return "date"
    return "boolean" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def metadata_values(metadata: Mapping[str, Any]) -> dict[str, dict[Kind, Stored]]:
    """Return the fields of metadata, nested ones as `outer.inner`, each with its value in every type that it fits.

    A text that parses as a number or date also counts as one (CSV holds nothing but text); a date is its first
    microsecond. In lists only texts and numbers count. Null and values of other types are no value.

    >>> metadata_values({"year": "2024", "by": {"name": "Ada"}, "tags": ["a", "b"], "none": None})
    {'year': {'text': '2024', 'number': 2024.0}, 'by.name': {'text': 'Ada'}, 'tags': {'texts': ['a', 'b']}}
    """
    found: dict[str, dict[Kind, Stored]] = {}
    for name, value in _flat(metadata):
        kinds = _listed(value) if isinstance(value, (list, tuple)) else dict(_scalar(value))
        if kinds:
            found.setdefault(f"metadata.{name}" if name in OWN else name, kinds)
    return found


def passage_values(passage: Passage) -> dict[str, dict[Kind, Stored]]:
    """Return the values of metadata and of a passage's own fields; an empty title or source is no value."""
    own: dict[str, dict[Kind, Stored]] = {name: {"text": value} for name in OWN if (value := getattr(passage, name))}
    return {**metadata_values(passage.metadata), **own}


def values_in(held: Mapping[Kind, Stored]) -> list[str | float | bool]:
    """Return the values of a field for counting: a text once, whatever else it parses as; each value of a list once.

    >>> values_in({"text": "2024", "number": 2024.0}), values_in({"texts": ["1", "b", "b"], "numbers": [1.0, 2.0]})
    (['2024'], ['1', 'b', 2.0])
    """
    for kind in ("text", "number", "boolean"):
        if kind in held:
            return [held[kind]]  # type: ignore[list-item]
    texts: Any = held.get("texts", ())
    numbers: Any = held.get("numbers", ())
    return list(dict.fromkeys([*texts, *numbers_beside(texts, numbers)]))


def numbers_beside(texts: Iterable[str], numbers: Iterable[float]) -> list[float]:
    """Return the numbers of a list that are not also among its texts, as those count as texts.

    >>> numbers_beside(["2024", "b"], [2024.0, 1.0])
    [1.0]
    """
    written = {number_of(text) for text in texts}
    return [number for number in numbers if number not in written]


def number_of(text: str) -> float | None:
    """Parse a text as a finite number; None if it is none.

    >>> number_of("2024"), number_of("20 24"), number_of("1e999")
    (2024.0, None, None)
    """
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def _flat(metadata: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in metadata.items():
        name = _SURROGATES.sub("\ufffd", before + str(key))
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _scalar(value: Any) -> Iterator[tuple[Kind, Stored]]:
    if isinstance(value, bool):
        yield "boolean", value
    elif isinstance(value, (int, float)):
        try:
            number = float(value)
        except OverflowError:
            return
        if math.isfinite(number):
            yield "number", number
    elif value is not None and not isinstance(value, (Mapping, list, tuple)):
        # Other objects (dates, decimals) are stored as text.
        text = _SURROGATES.sub("\ufffd", str(value))
        yield "text", text
        if (written := number_of(text)) is not None:
            yield "number", written
        when = to_date(text)
        if when is not None:
            yield "date", when.start


def _listed(values: list[Any] | tuple[Any, ...]) -> dict[Kind, Stored]:
    found: dict[Kind, list[Any]] = {}
    for value in values:
        for kind, scalar in _scalar(value):
            if kind in LISTS:
                found.setdefault(LISTS[kind], []).append(scalar)
    return dict(found)
