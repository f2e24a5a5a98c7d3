"""A list in bounded memory: a large one is kept in an unnamed file."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Generic, TypeVar, cast
from weakref import finalize

from isoglot.core.errors import IsoglotError

BYTES = 8_000_000  # in memory

Value = TypeVar("Value")


class LargeList(Generic[Value]):
    """Picklable values in order: appended at the end, iterated from the start.

    Args:
        folder: with room for the file, which vanishes with the list, or with the process however it ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        # Not a context manager: the file lives as long as the list.
        stream = tempfile.SpooledTemporaryFile(BYTES, dir=str(folder))  # noqa: SIM115
        self._stream = cast(IO[bytes], stream)
        finalize(self, stream.close)

    def append(self, value: Value) -> None:
        """Append a value.

        Raises:
            IsoglotError: the disk is full.
        """
        try:
            pickle.dump(value, self._stream)
        except OSError as error:
            raise no_room(self._folder, error) from error
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Value]:
        """Yield all values; only one loop at a time, and without appending meanwhile."""
        try:
            self._stream.seek(0)
        except OSError as error:  # seeking flushes what is still buffered
            raise no_room(self._folder, error) from error
        for _ in range(self._count):
            yield pickle.load(self._stream)
        self._stream.seek(0, os.SEEK_END)


def no_room(folder: Path, error: OSError) -> IsoglotError:
    """Return the error for a file that cannot be written."""
    return IsoglotError(f"{folder}: cannot be written ({error.strerror or error}); make room")
