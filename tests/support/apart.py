"""An encoder for a process of its own, which does by a text's words what encoders do at their worst."""

from __future__ import annotations

import os
import threading
import time

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoded, Encoder, Role, Vectors


class UnsendableError(Exception):
    """Does not survive being sent: it wants two arguments, and keeps one."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} {other}")


class Odd:
    """A text's length and whether it is a query, unless the text says otherwise."""

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
    """Open it."""
    return Odd()


class _Unpicklable(BaseException):
    """Neither an `Exception` nor one that can be sent."""

    def __reduce__(self) -> str:
        raise TypeError


def panics(_: Encoder) -> None:
    """As a library of another language does."""
    raise _Unpicklable("panicked")


def unsendable(_: Encoder) -> object:
    """An answer that cannot be sent."""
    return threading.Lock()


def open_slowly() -> Encoder:
    """The first time at once; afterwards never."""
    marker = os.environ["ISOGLOT_TEST_OPENED"]
    if os.path.exists(marker):
        threading.Event().wait()
    with open(marker, "w", encoding="utf-8"):
        return Odd()


def pid_of(_: Encoder) -> int:
    """The process that holds it."""
    return os.getpid()


def open_deadly(device: str | None) -> Encoder:
    """An encoder on a device that ends its process while it is opened."""
    os._exit(7)


def open_endlessly(device: str | None) -> Encoder:
    """One that is never open."""
    while True:
        time.sleep(600)
