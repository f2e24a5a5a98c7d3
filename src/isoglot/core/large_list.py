"""A list that does not grow in memory: what is too much for it lies in a file without a name."""

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
    """Values of any kind that can be pickled, in their order; they are added at the end and read from the start.

    Args:
        folder: with room for the file, which goes with the list, or with the process however that ends.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        # Of a list that lives as long as its file.
        stream = tempfile.SpooledTemporaryFile(BYTES, dir=str(folder))  # noqa: SIM115
        self._stream = cast(IO[bytes], stream)
        finalize(self, stream.close)

    def append(self, value: Value) -> None:
        """Add one at the end.

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
        """All of them, one loop at a time; none may be added meanwhile."""
        try:
            self._stream.seek(0)
        except OSError as error:  # of what is still to be written
            raise no_room(self._folder, error) from error
        for _ in range(self._count):
            yield pickle.load(self._stream)
        self._stream.seek(0, os.SEEK_END)


def no_room(folder: Path, error: OSError) -> IsoglotError:
    """What is said where a file cannot be written."""
    return IsoglotError(f"{folder}: cannot be written ({error.strerror or error}); make room")
