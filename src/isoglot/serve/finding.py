"""A request's way to its hits: the query's vector among those of other requests, then the search in a thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ParamSpec, TypeVar

from isoglot.encoders.embedder import Vectors
from isoglot.search.hit import Hit
from isoglot.search.query_checks import Mode
from isoglot.serve.asking import Answer, Ask
from isoglot.serve.batches import Batches
from isoglot.serve.metrics import Metrics
from isoglot.serve.served import Collection, UnavailableError
from isoglot.serve.settings import ServeSettings
from isoglot.serve.spoken import spoken
from isoglot.serve.workers import Workers

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)


class Finder:
    """Searches of an application.

    Args:
        collections: to search.
        workers: threads.
        metrics: told how long stages take, and the languages found.
        settings: limits.
    """

    def __init__(
        self, collections: Iterable[Collection], workers: Workers, metrics: Metrics, settings: ServeSettings
    ) -> None:
        self._workers, self._metrics, self._seconds = workers, metrics, settings.seconds
        self._batches = {
            entry.name: Batches(
                entry.vectors,
                gather=settings.gather,
                most=settings.together,
                at_once=settings.at_once,
                waiting=settings.threads + settings.waiting,
                seconds=settings.seconds,
                told=partial(metrics.stage, "encode"),
                remembered=settings.remembered,
                # Another version of an index may correct its queries otherwise.
                made_by=partial(getattr, entry, "searcher"),
            )
            for entry in collections
        }

    async def vector(self, collection: Collection, query: str, mode: Mode) -> Vectors | None:
        """The query's vector (d,), encoded with those of other requests; None where the search needs none.

        Raises:
            BusyError: too many wait.
            UnavailableError: the model does not answer, or not in time. While it hangs, nobody else waits for it.
        """
        if mode == "lexical" or not query or not collection.languages:
            return None
        try:
            return await self._batches[collection.name].vector(query)
        except TimeoutError:
            _log.error("%s: the model does not answer within %g seconds", collection.name, self._seconds)
            said = spoken("the model of %(index)s does not answer in time; try again in a moment")
            raise UnavailableError(said, index=repr(collection.name)) from None

    async def ask(self, collection: Collection, ask: Ask) -> Answer:
        """All that a request asks for.

        Raises:
            FilterError: the filter or a field cannot be.
            NoPassageError: there is no passage to be like.
            BusyError: too many wait.
            TimeoutError: it took too long.
            UnavailableError: the index does not answer.
        """
        until, opened = self.deadline(), collection.opened
        vector = None if ask.like is not None else await self.vector(collection, ask.query, ask.mode)
        async with asyncio.timeout_at(until):
            found = await self.run(self.timed, collection.ask, ask, vector, opened)
        self._metrics.found(collection.name, found.hits)
        return found

    def deadline(self) -> float:
        """When a request that begins now has taken too long, by the event loop's clock."""
        return asyncio.get_running_loop().time() + self._seconds

    def timed(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a search, and note how long it took."""
        started = time.perf_counter()
        found = function(*args, **kwargs)
        self._metrics.stage("search", time.perf_counter() - started)
        return found

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread, as `Workers.run`."""
        return await self._workers.run(function, *args, **kwargs)

    def shown(self, name: str, hits: Sequence[Hit]) -> None:
        """Note the languages of hits that were found otherwise, in the collection of a name."""
        self._metrics.found(name, hits)

    def close(self) -> None:
        """Encode nothing further."""
        for batches in self._batches.values():
            batches.close()
