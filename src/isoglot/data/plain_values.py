"""The values of records in memory, as JSON would yield them: without NumPy's and pandas' own types."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

_NOTHING = ("NaTType", "NAType")  # pandas'


def plain(value: Any) -> Any:
    """Return a value with Python's types: arrays, tuples and sets become lists, what marks a missing value None.

    A set's elements are sorted, so that they are the same in every process; an enum's member becomes its value.

    >>> import numpy as np
    >>> plain({"year": np.int32(2020), "tags": np.array(["a"]), "price": float("nan"), "when": np.datetime64("2020")})
    {'year': 2020, 'tags': ['a'], 'price': None, 'when': datetime.datetime(2020, 1, 1, 0, 0)}
    """
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, AbstractSet):
        return sorted(map(plain, value), key=str)
    if isinstance(value, (list, tuple)):
        # A NaN among numbers keeps its place.
        return [inner if isinstance(inner, float) and inner != inner else plain(inner) for inner in value]
    if type(value).__name__ in _NOTHING or (isinstance(value, float) and value != value):
        return None
    if not hasattr(value, "tolist"):
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        value = value.astype("datetime64[us]")  # nanoseconds would become a number
    return plain(value.tolist())
