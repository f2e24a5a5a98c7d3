"""A dict of strings in bounded memory: large ones are kept in unnamed files."""

from __future__ import annotations

import marshal  # no other process reads the files
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, overload
from weakref import finalize

import numpy as np

from isoglot.core.hash_runs import HashRuns
from isoglot.core.large_list import no_room

MOST = 250_000  # entries in memory: some 50 MB
_WRITTEN = 10_000  # entries per write

Default = TypeVar("Default")


class LargeDict(MutableMapping[str, str]):
    """A dict from strings to strings, in order of insertion, in bounded memory.

    Up to `MOST` entries it is a plain dict. Beyond that, entries are appended to a file, `MOST` at a time; the index of
    their places there is on disk too (`HashRuns`). From then on, setting an existing key moves it to the end.

    Args:
        folder: with room for the files, which vanish with the dict, or with the process however it ends.

    Raises:
        IsoglotError: the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recent: dict[str, str | None] = {}  # None for entries that were removed but are still in the file
        self._filed: _Filed | None = None

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, default: str | Default) -> str | Default: ...
    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default."""
        found = self._recent.get(key)
        if found is None and self._filed is not None and key not in self._recent:
            found = self._filed.get(key)
        return default if found is None else found

    def setdefault(self, key: str, default: str = "") -> str:
        """Return the value of a key, setting it to the default if there is none."""
        found = self.get(key)
        if found is None:
            self[key] = found = default
        return found

    def __getitem__(self, key: str) -> str:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __setitem__(self, key: str, value: str) -> None:
        self._recent[key] = value
        if len(self._recent) > MOST:
            self._all_filed()

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        if self._filed is None:
            del self._recent[key]
        else:
            self._recent[key] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._recent) if self._filed is None else self._all_filed().keys()

    def __len__(self) -> int:
        return len(self._recent) if self._filed is None else self._all_filed().live

    def _all_filed(self) -> _Filed:
        try:
            self._filed = self._filed or _Filed(self._folder)
            if self._recent:
                self._filed.add(self._recent)
        except OSError as error:
            raise no_room(self._folder, error) from error
        self._recent = {}
        return self._filed


class _Filed:
    """The entries of a dict that are on disk.

    Attributes:
        live: how many of them are current, neither overwritten nor removed.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        finalize(self, self._file.close)
        self._where = HashRuns(folder)
        self._bytes = self._written = self.live = 0

    def get(self, key: str) -> str | None:
        """Return the last value of a key; None if it has none."""
        found = self._last(key)
        return None if found is None else found[1]

    def add(self, entries: Mapping[str, str | None]) -> None:
        """Add entries; None removes a key."""
        keys = list(entries)
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
        before = sum(self.get(keys[row]) is not None for row in self._where.perhaps(hashes).tolist())
        self.live += sum(value is not None for value in entries.values()) - before
        self._file.seek(self._bytes)
        sizes = list[int]()
        rest = iter(entries.items())
        while some := [marshal.dumps(entry) for entry in islice(rest, _WRITTEN)]:
            self._file.write(b"".join(some))
            sizes += map(len, some)
        self._file.flush()
        ends = self._bytes + np.cumsum(sizes, dtype=np.int64)
        self._where.add(hashes, ends - sizes)
        self._bytes, self._written = int(ends[-1]), self._written + len(keys)

    def keys(self) -> Iterator[str]:
        """Yield the current keys, in the order in which they were last set."""
        place, all_true = 0, self._written == self.live
        for _ in range(self._written):
            key, value = self._at(place)
            after = self._file.tell()
            if all_true or (value is not None and self._last(key) == (place, value)):
                yield key
            place = after

    def _last(self, key: str) -> tuple[int, str | None] | None:
        """Return where a key was last set, and its value."""
        for place in self._where.places(hash(key)):
            found, value = self._at(place)
            if found == key:
                return place, value
        return None

    def _at(self, place: int) -> tuple[str, str | None]:
        self._file.seek(place)
        entry: tuple[str, str | None] = marshal.load(self._file)
        return entry
