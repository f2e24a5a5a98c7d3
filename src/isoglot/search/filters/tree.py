"""A parsed filter, as a tree of immutable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Operator = Literal["=", "<", "<=", ">", ">="]
DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Date:
    """A point in time, or a whole day, in microseconds since 1970 (UTC).

    Attributes:
        start: its first microsecond.
        length: in microseconds: 1, or a day.
    """

    start: int
    length: int = 1

    @property
    def end(self) -> int:
        """The first microsecond after it."""
        return self.start + self.length


Value: TypeAlias = str | float | bool | Date


@dataclass(frozen=True, slots=True)
class Compare:
    """Compare a field with a value; a day is compared as a whole. True if any value of the field fits."""

    field: str
    operator: Operator
    value: Value
    at: int = 0


@dataclass(frozen=True, slots=True)
class Among:
    """A field has one of these values."""

    field: str
    values: tuple[Value, ...]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Like:
    r"""A text field matches a pattern: `%` is any number of characters, `_` exactly one, `\` escapes either."""

    field: str
    pattern: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """A passage has no value in a field."""

    field: str
    at: int = 0


@dataclass(frozen=True, slots=True)
class Not:
    """Negation. A comparison with a missing value is false, so its negation is true."""

    inner: Filter


@dataclass(frozen=True, slots=True)
class And:
    """All of these."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of these."""

    parts: tuple[Filter, ...]


Condition: TypeAlias = Compare | Among | Like | Missing
Filter: TypeAlias = Condition | Not | And | Or
