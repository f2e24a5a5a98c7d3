"""Following an index: what is published while it is served takes the place of what was open, between two requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from isoglot.core.errors import IsoglotError
from isoglot.serve.served import Collection

_log = logging.getLogger(__name__)


async def follow(collections: Sequence[Collection], seconds: float, changed: Callable[[], None]) -> None:
    """Look for new versions for ever.

    Args:
        collections: to bring up to date.
        seconds: between two looks.
        changed: called after one has changed.
    """
    said: dict[str, str] = {}
    while True:
        await asyncio.sleep(seconds)
        for entry in collections:
            try:
                # In a thread of its own: the new version is opened and its encoder checked while others search.
                new = await asyncio.to_thread(refreshed, entry)
            except (IsoglotError, OSError, RuntimeError, ValueError) as error:
                if said.get(entry.name) != str(error):
                    _log.error("%s: the version open stays, a new one cannot be opened: %s", entry.name, error)
                said[entry.name] = str(error)
                continue
            said.pop(entry.name, None)
            if new:
                _log.warning("%s: version %s is served now", entry.name, entry.searcher.version)
                changed()


def refreshed(collection: Collection) -> bool:
    """Serve what is published now; whether that is something new.

    Searches under way go on with the version they began with, which is let go of when the last one is done.

    Raises:
        IsoglotError: it cannot be opened, or its encoder is another one; what was open stays.
    """
    new = collection.searcher.renewed()
    if new is None:
        return False
    new.warm()
    collection.open(new)
    return True
