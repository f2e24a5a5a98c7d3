"""Queries of many requests, encoded together: a model reads 32 short texts in little more time than one.

Texts that came before are not read again: people ask the same things.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from isoglot.core.recent import Recent
from isoglot.encoders.embedder import Vectors
from isoglot.serve.workers import BusyError


class Batches:
    """Gathers texts for one model: one at work takes all that came meanwhile as soon as it is done.

    Args:
        encode: texts to vectors (n, d), called in a thread of its own.
        gather: seconds that an idle model waits for further texts after the first.
        most: texts that are encoded at a time.
        waiting: texts that may wait, those at work included.
        seconds: until a caller gives up.
        told: the seconds that each call of `encode` took.
        remembered: vectors that are kept, those asked for last.
        made_by: what `encode` is at the moment; when it is another object, what was kept is forgotten.
    """

    def __init__(
        self,
        encode: Callable[[list[str]], Vectors],
        *,
        gather: float,
        most: int,
        waiting: int,
        seconds: float,
        told: Callable[[float], None] = lambda seconds: None,
        remembered: int = 0,
        made_by: Callable[[], object] = lambda: None,
    ) -> None:
        self._kept = Recent[str, Vectors](remembered)
        self._made_by, self._maker = made_by, made_by()
        self._encode, self._told = encode, told
        self._gather, self._most, self._waiting, self._seconds = gather, most, waiting, seconds
        self._texts: list[tuple[str, asyncio.Future[Vectors]]] = []
        self._running, self._since = 0, 0.0
        self._worker: asyncio.Task[None] | None = None
        self._pool: ThreadPoolExecutor | None = None

    @property
    def stuck(self) -> bool:
        """Whether the model has been at the same texts for longer than anyone waits."""
        return self._running > 0 and time.monotonic() - self._since > self._seconds

    async def vector(self, text: str) -> Vectors:
        """The vector (d,) of a text.

        Raises:
            BusyError: too many are waiting.
            TimeoutError: it took too long; at once, where the model has been at work for longer than anyone waits.
        """
        kept = self._recalled(text)
        if kept is not None:
            return kept
        if self.stuck:
            raise TimeoutError
        # Whoever gave up in the queue takes no place; a model at work cannot be stopped, and keeps its own.
        if self._running + sum(not answer.done() for _, answer in self._texts) >= self._waiting:
            raise BusyError
        answer: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._texts.append((text, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), context=copy_context())
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
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="isoglot-encode")
        await asyncio.sleep(self._gather)
        while self._texts:
            batch, self._texts = self._texts[: self._most], self._texts[self._most :]
            batch = [(text, answer) for text, answer in batch if not answer.done()]  # nobody waits for the others
            if not batch:
                continue
            self._since, self._running = time.monotonic(), len(batch)
            maker = self._made_by()
            try:
                vectors = await loop.run_in_executor(self._pool, self._encode, [text for text, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for those who wait
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            finally:
                self._running = 0
            self._told(time.monotonic() - self._since)
            for (text, answer), vector in zip(batch, vectors, strict=True):
                if maker is self._maker:
                    self._kept[text] = vector.copy()  # a view would keep the whole batch's array
                if not answer.done():
                    answer.set_result(vector)

    def close(self) -> None:
        """Encode nothing further."""
        if self._worker is not None:
            self._worker.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
