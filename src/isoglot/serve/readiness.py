"""Whether the indexes answer, told at once: a check that takes long goes on, and its last result is told meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from isoglot.serve.served import Collection, UnavailableError

_log = logging.getLogger(__name__)
_PATIENCE = 0.02  # seconds that a probe waits for a check to end


class Readiness:
    """The state of some collections, checked in a thread of its own: probes never queue behind searches.

    Args:
        collections: that must answer.
        seconds: after which a check that goes on counts as failed: something hangs.
    """

    def __init__(self, collections: list[Collection], seconds: float = 20.0) -> None:
        self._collections, self._seconds = collections, seconds
        self._begun = 0.0
        self._problem: UnavailableError | None = None  # they answered when they were opened
        self._leaving = False
        self._pool: ThreadPoolExecutor | None = None
        self._running: asyncio.Future[None] | None = None

    async def check(self) -> None:
        """Return where all answer; a check is begun where none is running, and not waited for longer than 20 ms.

        Raises:
            UnavailableError: one does not, or did not the last time; or this server is about to stop.
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
        """Say from now on that this server is not ready, so that balancers send no more requests here."""
        self._leaving = True

    def close(self) -> None:
        """Begin no further check."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
