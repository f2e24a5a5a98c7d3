"""Progress of a build: its rate, and the time left."""

from __future__ import annotations

import sys
import time

from isoglot.core.progress import progress_line

_ON_TERMINAL, _IN_LOG = 2.0, 30.0  # seconds between lines


class Rate:
    """Prints the progress of a build: every two seconds on a terminal, twice a minute in a log.

    The time left is estimated from the first document that had to be encoded: documents that a resumed build finds
    stored already say nothing about the rate.

    Args:
        total: bytes of all inputs; 0 if unknown.
        workers: number of workers that encode at the same time.
        price: of a worker's hour, in any currency; 0 for no cost.
    """

    def __init__(self, total: int, workers: int = 1, price: float = 0.0) -> None:
        self._total, self._workers, self._price = total, workers, price
        self._said = self._began = time.perf_counter()
        self._from = (self._said, 0)
        self._working = False

    def show(self, done: int, documents: int, passages: int) -> None:
        """Print a line, unless the last one was printed a moment ago.

        Args:
            done: bytes of the inputs read so far.
            documents: new documents so far.
            passages: of these documents.
        """
        now = time.perf_counter()
        self._working = self._working or passages > 0
        if not self._working:
            self._from = (now, done)
        if now - self._said < (_ON_TERMINAL if sys.stderr.isatty() else _IN_LOG):
            return
        self._said = now
        progress_line(self._line(now, done, documents, passages))

    def _line(self, now: float, done: int, documents: int, passages: int) -> str:
        line = f"{documents} documents, {passages} passages"
        if self._total:
            line += f", {done / self._total:.0%} of the input"
        spent, read = now - self._from[0], done - self._from[1]
        left = None
        if spent > 0 and read > 0:
            line += f", {passages / spent:.0f} passages/s"
            if self._workers > 1:
                line += f" by {self._workers} workers"
            if done > 0.01 * self._total:
                left = spent / read * (self._total - done)
                line += f", {duration(left)} left"
        if self._price:
            hour = self._workers * self._price / 3600
            line += f", cost {hour * (now - self._began):.2f}"
            line += "" if left is None else f" of {hour * (now - self._began + left):.2f}"
        return line


def duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    >>> duration(8), duration(130), duration(7322)
    ('8 s', '2 min 10 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
