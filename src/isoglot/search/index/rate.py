"""How far a build is, at which rate, and how long it will take."""

from __future__ import annotations

import sys
import time

from isoglot.core.progress import progress_line

_ON_TERMINAL, _IN_LOG = 2.0, 30.0  # seconds between lines


class Rate:
    """A line now and then about how far a build is: often on a terminal, twice a minute in a log.

    The time left is reckoned from the first document that had work to do: what a resumed build finds stored already
    says nothing about the rate.

    Args:
        total: bytes of all inputs; 0 where nobody knows.
        workers: how many encode at the same time.
        price: of a worker's hour, in any currency; 0 where nobody wants to know.
    """

    def __init__(self, total: int, workers: int = 1, price: float = 0.0) -> None:
        self._total, self._workers, self._price = total, workers, price
        self._said = self._began = time.perf_counter()
        self._from = (self._said, 0)
        self._working = False

    def show(self, done: int, documents: int, passages: int) -> None:
        """Say it, if the last time is long enough ago.

        Args:
            done: bytes of the inputs read so far.
            documents: new ones so far.
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
    """A time in words, in the two largest units.

    >>> duration(8), duration(130), duration(7322)
    ('8 s', '2 min 10 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
