"""How threads wait for each other: asleep, so that processes on the same cores do not take them from one another."""

from __future__ import annotations

import os

# What tells OpenMP how to wait: the standard's name, GNU's and Intel's.
_OWN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def wait_asleep() -> None:
    """Have the threads of torch sleep while they wait, unless the environment says otherwise.

    By default they spin for some milliseconds after every product, on cores that another process could use. For the
    start of a program: OpenMP reads the environment once, when torch is imported.
    """
    if not any(name in os.environ for name in _OWN):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ["KMP_BLOCKTIME"] = "0"


def asleep() -> bool:
    """Whether the environment says that they sleep."""
    return os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
