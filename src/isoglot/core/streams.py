"""Streams of this process that whoever started it had closed, or that go away while it runs."""

from __future__ import annotations

import io
import os
import sys


class _Messages(io.TextIOWrapper):
    """A stream of messages, which are lost where they cannot be written: the work that they tell of goes on."""

    def write(self, text: str, /) -> int:
        """Write, or lose, a text."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Write, or lose, what is waiting."""
        try:
            super().flush()
        except OSError:
            return


def open_streams() -> None:
    """Give `sys.stdout` and `sys.stderr` somewhere to write, where they are closed: writing is no error then.

    Nor is it where stderr goes away later: a log on a full disk, a terminal that is gone, a pipe that nobody reads.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
    told = sys.stderr
    # The process's own: a stream that somebody else put there is theirs.
    if told is sys.__stderr__ and isinstance(told, io.TextIOWrapper):
        sys.stderr = _Messages(told.buffer, encoding=told.encoding, errors=told.errors, line_buffering=True)
