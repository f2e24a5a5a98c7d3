"""Standard streams that were closed by the parent process, or that break while this one runs."""

from __future__ import annotations

import io
import os
import sys


class _Messages(io.TextIOWrapper):
    """A stream for messages; those that cannot be written are dropped, and the program goes on."""

    def write(self, text: str, /) -> int:
        """Write a text, or drop it."""
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        try:
            super().flush()
        except OSError:
            return


def open_streams() -> None:
    """Point `sys.stdout` and `sys.stderr` to the null device if they are closed, so that writing is not an error.

    Also ignore errors if stderr breaks later: a log on a full disk, a closed terminal, a pipe that nobody reads.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
    told = sys.stderr
    # Only the process's own stream: one that was put in its place is left alone.
    if told is sys.__stderr__ and isinstance(told, io.TextIOWrapper):
        sys.stderr = _Messages(told.buffer, encoding=told.encoding, errors=told.errors, line_buffering=True)
