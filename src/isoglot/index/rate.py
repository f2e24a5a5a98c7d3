"""How far a build is, at which rate, and how long it will take."""

from __future__ import annotations

import sys
import time

from isoglot.progress import progress_line

_EVERY = 2.0  # seconds between lines of progress


class Rate:
    """A line now and then about how far the build is, where stderr is a terminal."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._started = self._said = time.perf_counter()

    def show(self, done: int, documents: int, passages: int) -> None:
        """Say it, if the last time is two seconds ago."""
        now = time.perf_counter()
        if now - self._said < _EVERY or not sys.stderr.isatty():
            return
        self._said = now
        spent, share = now - self._started, done / self._total
        left = f", {spent / share - spent:.0f} s left" if share > 0.01 else ""
        progress_line(
            f"{documents} documents, {passages} passages, {passages / spent:.0f} passages/s, {share:.0%}{left}"
        )
