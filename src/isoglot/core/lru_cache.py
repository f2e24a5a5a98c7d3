"""A cache of recently used values, limited in size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key; the least recently used are dropped first. Threads may share one.

    Args:
        most: maximum total size of the values.
        size: returns the size of a value; by default 1, so that values are counted.

    >>> kept = Recent[str, int](most=2)
    >>> kept["a"], kept["b"] = 1, 2
    >>> kept.get("a")
    1
    >>> kept["c"] = 3
    >>> kept.get("a"), kept.get("b"), kept.get("c")
    (1, None, 3)
    """

    def __init__(self, most: int, size: Callable[[Value], int] = lambda value: 1) -> None:
        self._most, self._size = most, size
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._taken = 0
        self._changing = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, or None if it is not cached."""
        with self._changing:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def __setitem__(self, key: Key, value: Value) -> None:
        with self._changing:
            if key in self._kept:
                self._taken -= self._size(self._kept.pop(key))
            self._kept[key] = value
            self._taken += self._size(value)
            while self._taken > self._most:
                self._taken -= self._size(self._kept.popitem(last=False)[1])

    def clear(self) -> None:
        """Remove all values."""
        with self._changing:
            self._kept.clear()
            self._taken = 0
