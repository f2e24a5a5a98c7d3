"""An encoder for a separate process that misbehaves as the texts tell it: errors, crashes, hangs."""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoded, Encoder, Role, Vectors


class UnsendableError(Exception):
    """An exception that cannot be unpickled: it takes two arguments but keeps one."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


class Odd:
    """Encode a text as its length and whether it is a query, or misbehave if the text says so."""

    name, device, length = "odd", "cpu", 99

    def __call__(self, texts: list[str], role: Role) -> Vectors:
        if "refused" in texts:
            raise InputError("a text of nothing")
        if "unsendable" in texts:
            raise UnsendableError("told", "twice")
        if "unreadable" in texts:
            raise OSError("a file of the model is gone")
        if "deadly" in texts:
            os._exit(9)
        if "hang" in texts:
            threading.Event().wait()
        if "slow" in texts:
            time.sleep(2)
        return np.array([[len(text), role == "query"] for text in texts], np.float32)

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        return Encoded(self(texts, role), len(texts), 0, 0.0)


def open_odd() -> Encoder:
    """Open the encoder."""
    return Odd()


class _Unpicklable(BaseException):
    """Not an `Exception`, and cannot be pickled."""

    def __reduce__(self) -> str:
        raise TypeError


def panics(_: Encoder) -> None:
    """Raise what a native library's panic might."""
    raise _Unpicklable("panicked")


def unsendable(_: Encoder) -> object:
    """Return a value that cannot be pickled."""
    return threading.Lock()


def open_slowly() -> Encoder:
    """Open at once the first time, and hang every other time."""
    marker = os.environ["ISOGLOT_TEST_OPENED"]
    if os.path.exists(marker):
        threading.Event().wait()
    with open(marker, "w", encoding="utf-8"):
        return Odd()


def pid_of(_: Encoder) -> int:
    """The id of the encoder's process."""
    return os.getpid()


def open_deadly(device: str | None) -> Encoder:
    """An encoder on a device that ends its process while it is opened."""
    os._exit(7)


def open_endlessly(device: str | None) -> Encoder:
    """One that is never open."""
    while True:
        time.sleep(600)
