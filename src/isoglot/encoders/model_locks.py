"""Locks for models: tokenizers change their settings at every call, and break when threads share them."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

OPENING = threading.RLock()
"""Hold it while a library opens a model: it changes torch's default dtype and log levels for all threads meanwhile."""

_locks: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()
_of_the_rest = threading.Lock()  # for objects that cannot be weak keys
_noting = threading.Lock()


def turn(model: Any) -> threading.Lock:
    """Return the lock of a model; hold it during any use that changes the model's state, so that threads take turns.

    >>> with turn(object()):
    ...     pass
    """
    with _noting:
        try:
            return _locks.setdefault(model, threading.Lock())
        except TypeError:
            return _of_the_rest
