"""Who may use a model now: tokenizers change their own settings at every call, and break when threads share them."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

_locks: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()
_of_the_rest = threading.Lock()  # of objects that nothing can be noted for
_noting = threading.Lock()


def turn(model: Any) -> threading.Lock:
    """The lock of a model: whatever changes itself in use is used while it is held, by one thread at a time.

    >>> with turn(object()):
    ...     pass
    """
    with _noting:
        try:
            return _locks.setdefault(model, threading.Lock())
        except TypeError:
            return _of_the_rest
