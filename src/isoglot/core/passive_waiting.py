"""Make waiting threads sleep, so that processes on the same cores do not slow each other down."""

from __future__ import annotations

import os

# Variables that control how OpenMP threads wait: the standard's, GNU's and Intel's.
_OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_asleep() -> None:
    """Make torch's threads sleep while they wait, unless the environment says otherwise.

    By default they spin for some milliseconds after every product, on cores that another process could use. Call it
    when a program starts: OpenMP reads the environment once, when torch is imported.
    """
    if not any(name in os.environ for name in _OWN):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["KMP_BLOCKTIME"] = "0"


def asleep() -> bool:
    """Return whether the environment says that waiting threads sleep."""
    return os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
