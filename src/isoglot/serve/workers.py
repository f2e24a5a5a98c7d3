"""A bounded pool of threads: limits on running and waiting functions, and on how long callers wait."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class BusyError(Exception):
    """The queue of waiting requests is full."""


class Workers:
    """Runs functions in threads for a server's event loop.

    Args:
        threads: functions that run at the same time.
        waiting: functions that may wait for a thread.
        seconds: time after which the caller gives up. A running function cannot be stopped: its thread stays busy, and
            counts as such, until it returns.

    Attributes:
        waited: called with the seconds that each function waited for its thread.
    """

    def __init__(self, threads: int, waiting: int, seconds: float) -> None:
        self._threads, self._seconds = threads, seconds
        self._places = threading.BoundedSemaphore(threads + waiting)
        self._pool: ThreadPoolExecutor | None = None
        self._held, self._counting = 0, threading.Lock()
        self.waited: Callable[[float], None] = lambda seconds: None

    @property
    def load(self) -> tuple[int, int]:
        """The numbers of waiting and of running functions."""
        return max(0, self._held - self._threads), min(self._held, self._threads)

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function in a thread.

        Raises:
            BusyError: too many functions are waiting.
            TimeoutError: it took too long.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="isoglot-search")
        # The thread gets the request's context, so that its log lines carry the request's id.
        context, submitted = copy_context(), time.perf_counter()

        def work() -> R:
            self.waited(time.perf_counter() - submitted)
            return context.run(function, *args, **kwargs)

        self._hold(1)
        future = self._pool.submit(work)
        future.add_done_callback(self._release)
        return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)

    def _release(self, _: object) -> None:
        self._hold(-1)
        self._places.release()

    def _hold(self, change: int) -> None:
        with self._counting:
            self._held += change

    def close(self) -> None:
        """Drop waiting functions; running ones finish by themselves. The next call opens a new pool."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
