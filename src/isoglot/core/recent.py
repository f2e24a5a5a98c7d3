"""What was needed last stays in memory, up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key; those that were not needed for longest go first. Threads may share one.

    Args:
        most: the sizes of all that is kept add up to this at most.
        size: of a value; 1 when not given, so that values are counted.

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
        """The value of a key, if it is still there."""
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
        """Forget everything."""
        with self._changing:
            self._kept.clear()
            self._taken = 0
