"""Follow indexes while they are served: a newly published version replaces the open one, between two requests."""

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
_PAUSE = 1.0  # seconds after a check that found nothing in which failing requests do not check again
_SWAP = 0.05  # seconds in which one folder has surely replaced another
_RARELY = 10  # after a failed check, which may have loaded a model, wait this many times as long as it took


async def follow(collections: Sequence[Collection], seconds: float, changed: Callable[[], None]) -> None:
    """Check for new versions until cancelled.

    Args:
        collections: the collections to keep up to date.
        seconds: time between two checks.
        changed: called after one has changed.
    """
    followers = [Follower(entry, changed) for entry in collections]
    while True:
        await asyncio.sleep(seconds)
        for follower in followers:
            # In a thread: searches go on while the new version is opened and its encoder checked.
            await asyncio.to_thread(follower.look)


class Follower:
    """Keeps a collection up to date: at every `look`, and at once when its index does not answer.

    An index that has been replaced is deleted, so files that a search needs of it may be gone.

    Args:
        collection: the collection to keep up to date.
        changed: called after it has changed.
    """

    def __init__(self, collection: Collection, changed: Callable[[], None]) -> None:
        self._collection, self._changed = collection, changed
        self._looking = threading.Lock()
        self._said = ""
        self._in_vain = self._next = float("-inf")
        collection.renew = self.renew

    def look(self) -> bool:
        """Serve the version published now; return whether it is new. A failure to open it is logged only once."""
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
                    _log.error("%s: a new version cannot be opened, the old one is still served: %s", entry.name, error)
                self._said = str(error)
                return False
            entry.behind, self._said = False, ""
            if new:
                by = "" if entry.model == model else f", with the model {entry.model}"
                _log.warning("%s: version %s is served now%s", entry.name, entry.searcher.version, by)
                self._changed()
            return new

    def renew(self, before: Searcher) -> bool:
        """Look on behalf of a request that the index failed; return whether a different index is open now.

        Args:
            before: the index that did not answer.
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
    """Serve the version published now, with a new encoder if it was built with another; return whether it is new.

    Searches in progress finish with the version that they began with, which is released after the last of them.

    Raises:
        IsoglotError: it cannot be opened, or was built with another model than the one given; the old version stays.
    """
    new = collection.searcher.renewed()
    if new is None:
        return False
    new.warm()
    collection.open(new)
    return True
