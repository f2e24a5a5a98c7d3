"""Following an index: what is published while it is served takes the place of what was open, between two requests."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence

from isoglot.core.errors import IsoglotError
from isoglot.search.searcher import Searcher
from isoglot.serve.served import Collection

_log = logging.getLogger(__name__)
_PAUSE = 1.0  # seconds after a look in vain, in which requests that are not answered do not look again
_SWAP = 0.05  # seconds in which a folder is surely put into another's place
_RARELY = 10  # times as long as a look in vain took, which may have loaded a model, nothing is looked for again


async def follow(collections: Sequence[Collection], seconds: float, changed: Callable[[], None]) -> None:
    """Look for new versions for ever.

    Args:
        collections: to bring up to date.
        seconds: between two looks.
        changed: called after one has changed.
    """
    followers = [Follower(entry, changed) for entry in collections]
    while True:
        await asyncio.sleep(seconds)
        for follower in followers:
            # In a thread of its own: the new version is opened and its encoder checked while others search.
            await asyncio.to_thread(follower.look)


class Follower:
    """Brings a collection up to date: whenever it is told to look, and at once where the index does not answer.

    An index that another one is put in the place of is gone by then, so what a search needs of it may be, too.

    Args:
        collection: to bring up to date.
        changed: called after it has changed.
    """

    def __init__(self, collection: Collection, changed: Callable[[], None]) -> None:
        self._collection, self._changed = collection, changed
        self._looking = threading.Lock()
        self._said = ""
        self._in_vain = self._next = float("-inf")
        collection.renew = self.renew

    def look(self) -> bool:
        """Serve what is published now; whether that is something new. What cannot be opened is told in the log once."""
        entry = self._collection
        with self._looking:
            began = time.monotonic()
            if began < self._next:
                return False
            model = entry.model
            try:
                new = refreshed(entry)
            except (IsoglotError, OSError, RuntimeError, ValueError) as error:
                self._next = began + (1 + _RARELY) * (time.monotonic() - began)
                entry.behind = True
                if self._said != str(error):
                    _log.error("%s: the version open stays, a new one cannot be opened: %s", entry.name, error)
                self._said = str(error)
                return False
            entry.behind, self._said = False, ""
            if new:
                by = "" if entry.model == model else f", by the model {entry.model}"
                _log.warning("%s: version %s is served now%s", entry.name, entry.searcher.version, by)
                self._changed()
            return new

    def renew(self, before: Searcher) -> bool:
        """The same for a request that the index did not answer: whether another one is there to ask.

        Args:
            before: what did not answer.
        """
        for pause in (0.0, _SWAP):
            if time.monotonic() - self._in_vain < _PAUSE:
                return self._collection.searcher is not before
            time.sleep(pause)
            if self._collection.searcher is not before or self.look():
                return True
        self._in_vain = time.monotonic()
        return self._collection.searcher is not before


def refreshed(collection: Collection) -> bool:
    """Serve what is published now, with another model where it was made with another one; whether it is something new.

    Searches under way go on with the version they began with, which is let go of when the last one is done.

    Raises:
        IsoglotError: it cannot be opened, or is of another model than the one that was given; what was open stays.
    """
    new = collection.searcher.renewed()
    if new is None:
        return False
    new.warm()
    collection.open(new)
    return True
