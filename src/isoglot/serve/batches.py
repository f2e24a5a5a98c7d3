"""Encode queries of many requests in batches: eight short texts take about as long as four encoded one by one.

Vectors are cached, since people ask the same things.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from isoglot.core.lru_cache import Recent
from isoglot.encoders.embedder import Vectors
from isoglot.serve.workers import BusyError

_WORTH = 4  # waiting texts that justify another batch beside those in progress


class Batches:
    """Batches the texts for one model: a worker that finishes a batch takes the texts that arrived meanwhile.

    Args:
        encode: encodes texts into vectors (n, d); called in a separate thread.
        gather: seconds that an idle model waits for further texts after the first.
        most: largest batch.
        at_once: batches encoded at the same time, each in its own thread.
        waiting: texts that may wait, including those being encoded.
        seconds: time after which a caller gives up.
        told: called with the seconds that each call of `encode` took.
        remembered: number of vectors in the cache, which drops those least recently used.
        made_by: returns the object that currently encodes; when it is another object, the cache is emptied.
    """

    def __init__(
        self,
        encode: Callable[[list[str]], Vectors],
        *,
        gather: float,
        most: int,
        at_once: int = 1,
        waiting: int,
        seconds: float,
        told: Callable[[float], None] = lambda seconds: None,
        remembered: int = 0,
        made_by: Callable[[], object] = lambda: None,
    ) -> None:
        self._kept = Recent[str, Vectors](remembered)
        self._made_by, self._maker = made_by, made_by()
        self._encode, self._told = encode, told
        self._gather, self._most, self._at_once = gather, most, at_once
        self._waiting, self._seconds = waiting, seconds
        self._texts: list[tuple[str, asyncio.Future[Vectors]]] = []
        self._running: dict[object, tuple[float, int]] = {}  # when each running batch began, and its number of texts
        self._workers: set[asyncio.Task[None]] = set()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def stuck(self) -> bool:
        """Whether `at_once` batches have all been running for longer than a caller waits."""
        return self._overdue >= self._at_once

    @property
    def _overdue(self) -> int:
        return sum(time.monotonic() - since > self._seconds for since, _ in self._running.values())

    async def vector(self, text: str) -> Vectors:
        """Return the vector (d,) of a text.

        Raises:
            BusyError: too many texts are waiting.
            TimeoutError: it took too long; raised at once if the model is `stuck`.
        """
        kept = self._recalled(text)
        if kept is not None:
            return kept
        if self.stuck:
            raise TimeoutError
        # Texts whose caller gave up do not count while queued; once encoding has begun, they do: it cannot be stopped.
        under_way = sum(texts for _, texts in self._running.values())
        if under_way + sum(not answer.done() for _, answer in self._texts) >= self._waiting:
            raise BusyError
        answer: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._texts.append((text, answer))
        at_work = sum(not worker.done() for worker in self._workers) - self._overdue
        if not at_work or (len(self._texts) >= _WORTH and at_work < self._at_once):
            worker = asyncio.create_task(self._work(), context=copy_context())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await asyncio.wait_for(answer, self._seconds)

    def _recalled(self, text: str) -> Vectors | None:
        maker = self._made_by()
        if maker is not self._maker:
            self._kept.clear()
            self._maker = maker
        return self._kept.get(text)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="isoglot-encode")
        await asyncio.sleep(self._gather)
        while self._texts:
            batch, self._texts = self._texts[: self._most], self._texts[self._most :]
            batch = [(text, answer) for text, answer in batch if not answer.done()]  # the callers of the others gave up
            if not batch:
                continue
            since, own, maker = time.monotonic(), object(), self._made_by()
            self._running[own] = since, len(batch)
            try:
                vectors = await loop.run_in_executor(self._pool, self._encode, [text for text, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            finally:
                del self._running[own]
            self._told(time.monotonic() - since)
            for (text, answer), vector in zip(batch, vectors, strict=True):
                if maker is self._maker:
                    self._kept[text] = vector.copy()  # a view would keep the whole batch's array
                if not answer.done():
                    answer.set_result(vector)

    def close(self) -> None:
        """Stop: encode no further texts."""
        for worker in self._workers:
            worker.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
