"""Streams of this process that whoever started it had closed."""

from __future__ import annotations

import os
import sys


def open_streams() -> None:
    """Give `sys.stdout` and `sys.stderr` somewhere to write, where they are closed: writing is no error then."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
