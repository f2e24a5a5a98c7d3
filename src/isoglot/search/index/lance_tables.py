"""Open and read LanceDB tables in an index folder, with one clear message if they are broken."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from isoglot.core.errors import InputError, IsoglotError, needs
from isoglot.search.index.manifest import read_manifest

PASSAGES, FOLDED = "passages", "folded"
_OWN_PLACES = re.compile(r"lance error: |LanceError\(\w+\): |,? /\S+\.rs:\d+(:\d+)?")


def connect(folder: Path) -> Any:
    """Open LanceDB on a folder.

    Raises:
        MissingPackageError: lancedb is not installed.
    """
    return require_lancedb().connect(str(folder / "lance"))


def require_lancedb() -> Any:
    """Import the package that stores indexes.

    Raises:
        MissingPackageError: it is not installed.
    """
    # Otherwise Lance logs its own warnings beside our errors.
    os.environ.setdefault("LANCEDB_LOG", "error")
    with needs("indexes are kept in LanceDB", "search"):
        import lancedb
    _leave_nothing_behind()
    return lancedb


@cache
def _leave_nothing_behind() -> None:
    """Break the reference cycle that Lance leaves after every scan: an exception that its own traceback refers to.

    From Python 3.12 on the traceback keeps the frames of all callers, and with them a closed index, in memory.
    """
    from lancedb.background_loop import LOOP

    inner = LOOP.run

    def run(coroutine: Any) -> Any:
        try:
            return inner(coroutine)
        except StopAsyncIteration as end:
            end.__traceback__ = None
            raise StopAsyncIteration from None  # a new one: Lance's own thread may still hold the first

    LOOP.run = run


def table_uri(folder: Path, table: str) -> str:
    """Return the path of a table of an index folder."""
    return str(folder / "lance" / f"{table}.lance")


def is_table(folder: Path, table: str) -> bool:
    """Return whether an index folder has a table; a process that is killed while it makes one leaves a part of it."""
    return any(Path(table_uri(folder, table), "_versions").glob("*.manifest"))


@contextmanager
def reading(folder: Path, number: int | None = None) -> Iterator[None]:
    """Turn Lance's errors about lost or broken files into one clear message; `number` is the open version."""
    try:
        yield
    except (RuntimeError, OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, IsoglotError):
            raise
        if not Path(table_uri(folder, PASSAGES)).is_dir():
            raise InputError(
                f"{folder}: the index was deleted or moved; make it again, or open it at its new place"
            ) from error
        if number is not None and all(version.number != number for version in read_manifest(folder).versions):
            raise InputError(
                f"{folder}: version {number}, which is open here, was pruned; open the index again"
            ) from error
        raise IsoglotError(
            f"{folder}: the index cannot be read ({reason(error)}); make it again with `isoglot index --overwrite`"
        ) from error


def reason(error: Exception) -> str:
    """Return the first line of Lance's message, without locations in its source code."""
    said = _OWN_PLACES.sub("", str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__
