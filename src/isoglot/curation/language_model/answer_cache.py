"""A cache on disk of answers, keyed by what was asked."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from isoglot.core.cache_files import opening_cache
from isoglot.core.errors import IsoglotError

_PATIENCE = 120.0  # seconds to wait while other processes write


class AnswerStore:
    """Texts by key in an SQLite file; each is on disk before it is used, so that a killed run loses nothing.

    Several processes may use the file, also of several machines if its file system has locks.

    Args:
        path: the file, created if missing.

    Raises:
        InputError: the file is not such a cache, or cannot be opened or created.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with opening_cache(path, "answers"):
            # Not in WAL mode: that is fast, but machines that share a disk would overwrite one another's answers.
            self._db = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False)
            self._db.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, answer TEXT NOT NULL)")
            self._db.commit()

    def get(self, key: bytes) -> str | None:
        """Return the answer for a key, or None."""
        with self._using():
            found = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def put(self, answers: Iterable[tuple[bytes, str]]) -> None:
        """Store answers; they are on disk when this returns.

        Raises:
            IsoglotError: the disk is full or cannot be written.
        """
        with self._using():
            self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", list(answers))
            self._db.commit()

    @contextmanager
    def _using(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise IsoglotError(
                    f"{self.path}: the cache of answers cannot be used ({error}); free some space, or name another "
                    "file as `cache`; the answers before this one are kept"
                ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def key_of(*parts: str) -> bytes:
    """Return a cache key, given everything that an answer depends on."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
