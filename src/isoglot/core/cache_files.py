"""Opening caches that are SQLite files, with messages that tell a full disk from another kind of file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isoglot.core.errors import InputError


@contextmanager
def opening_cache(path: Path, what: str) -> Iterator[None]:
    """Make the folder of a cache; within the block, turn errors of SQLite and of the file system into messages.

    Args:
        path: of the cache.
        what: it holds, in the plural.

    Raises:
        InputError: the file is not such a cache, or cannot be opened or created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except (sqlite3.OperationalError, OSError) as error:  # no room, no rights, no locks: its content may be whole
        raise InputError(
            f"{path}: the cache of {what} cannot be opened ({error}); what it holds is kept; free some space, see who "
            "else uses it, or name another file as `cache`"
        ) from error
    except sqlite3.Error as error:
        raise InputError(f"{path}: not a cache of {what} ({error}); delete it or name another") from error
