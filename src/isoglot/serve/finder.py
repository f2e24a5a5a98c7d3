"""The steps of a search request: encode the query in a batch with those of others, then search in a thread."""

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
from isoglot.serve.batches import Batches
from isoglot.serve.metrics import Metrics
from isoglot.serve.search_request import Answer, Ask
from isoglot.serve.served import Collection, UnavailableError
from isoglot.serve.settings import ServeSettings
from isoglot.serve.translatable import translatable
from isoglot.serve.workers import Workers

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)


class Finder:
    """Runs the searches of an application.

    Args:
        collections: the collections to search.
        workers: the pool of threads.
        metrics: receives the duration of each stage and the languages of results.
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
                # Another version of an index may correct query vectors differently.
                made_by=partial(getattr, entry, "searcher"),
            )
            for entry in collections
        }

    async def vector(self, collection: Collection, query: str, mode: Mode) -> Vectors | None:
        """Return the query's vector (d,), encoded in a batch with other requests; None if the search needs none.

        Raises:
            BusyError: too many requests are waiting.
            UnavailableError: the model failed or timed out. While it hangs, further requests fail at once.
        """
        if mode == "lexical" or not query or not collection.languages:
            return None
        try:
            return await self._batches[collection.name].vector(query)
        except TimeoutError:
            _log.error("%s: the model does not answer within %g seconds", collection.name, self._seconds)
            said = translatable("the model of %(index)s does not answer in time; try again in a moment")
            raise UnavailableError(said, index=repr(collection.name)) from None

    async def ask(self, collection: Collection, ask: Ask) -> Answer:
        """Answer a search.

        Raises:
            FilterError: the filter or a field is invalid.
            NoPassageError: the passage to compare with does not exist.
            BusyError: too many requests are waiting.
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
        """Return the deadline of a request that begins now, by the event loop's clock."""
        return asyncio.get_running_loop().time() + self._seconds

    def timed(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a search function and record its duration."""
        started = time.perf_counter()
        found = function(*args, **kwargs)
        self._metrics.stage("search", time.perf_counter() - started)
        return found

    async def run(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a thread, as `Workers.run`."""
        return await self._workers.run(function, *args, **kwargs)

    def shown(self, name: str, hits: Sequence[Hit]) -> None:
        """Record the languages of hits of the collection `name` that were not found by `ask`."""
        self._metrics.found(name, hits)

    def close(self) -> None:
        """Stop: encode no further queries."""
        for batches in self._batches.values():
            batches.close()
