"""A progress bar on stderr, silent if stderr is not a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Progress:
    """Counts the steps of a task; shows a bar (a counter when `total` is None) if stderr is a terminal.

    Example:
        >>> with Progress("rows", total=2) as progress:
        ...     progress.advance(2)
    """

    def __init__(self, what: str, total: int | None = None, *, enabled: bool = True) -> None:
        self._what, self._total = what, total
        self._bar: Any = None
        self._task: Any = None
        self._enabled = enabled and sys.stderr.isatty()
        self._pending = 0

    def __enter__(self) -> Progress:
        if self._enabled:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        return self

    def advance(self, steps: int = 1) -> None:
        """Count `steps` as done."""
        if self._bar is None:
            return
        self._pending += steps
        # Redrawing for every row would cost more than reading it.
        if self._pending >= max(1, (self._total or 100_000) // 200):
            self._bar.advance(self._task, self._pending)
            self._pending = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.advance(self._task, self._pending)
            self._bar.stop()


def progress_line(text: str) -> None:
    """Write one line about a stage of a long run to stderr, even if that is not a terminal."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
