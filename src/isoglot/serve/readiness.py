"""Readiness of the indexes, reported at once: while a slow check is running, the last one's result is reported."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from isoglot.serve.served import Collection, UnavailableError

_log = logging.getLogger(__name__)
_PATIENCE = 0.02  # seconds that a probe waits for a check to finish


class Readiness:
    """The readiness of some collections, checked in a separate thread so that probes never queue behind searches.

    Args:
        collections: the collections that must answer.
        seconds: time after which a check that is still running counts as failed.
    """

    def __init__(self, collections: list[Collection], seconds: float = 20.0) -> None:
        self._collections, self._seconds = collections, seconds
        self._begun = 0.0
        self._problem: UnavailableError | None = None  # none yet: the collections answered when they were opened
        self._leaving = False
        self._pool: ThreadPoolExecutor | None = None
        self._running: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Return if all collections answer; starts a check if none is running, and waits for it at most 20 ms.

        Raises:
            UnavailableError: one did not answer in the latest finished check, the running one takes too long, or this
                server is about to stop.
        """
        if self._leaving:
            raise UnavailableError("this server is about to stop: ask another one")
        if self._running is None or self._running.done():
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, thread_name_prefix="isoglot-probe")
            self._begun = time.monotonic()
            self._running = asyncio.ensure_future(asyncio.wrap_future(self._pool.submit(self._look)))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._running), _PATIENCE)
        if self._problem is not None:
            raise self._problem
        if not self._running.done() and time.monotonic() - self._begun > self._seconds:
            raise UnavailableError(f"a check of the indexes takes more than {self._seconds:g} seconds")

    def _look(self) -> None:
        problem = None
        try:
            for entry in self._collections:
                entry.check()
        except UnavailableError as error:
            problem = error
        except Exception:  # noqa: BLE001 - whatever it is, searches meet it too, and nobody else may be told
            _log.exception("the check of the indexes failed")
            problem = UnavailableError("a check of the indexes failed; see the server's messages")
        self._problem = problem

    def leave(self) -> None:
        """Report "not ready" from now on, so that load balancers send no more requests here."""
        self._leaving = True

    def close(self) -> None:
        """Stop: start no further checks."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
