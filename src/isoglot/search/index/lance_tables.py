"""LanceDB: a folder of tables, opened and read, and what it says of broken ones in one message."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from isoglot.core.errors import InputError, IsoglotError, MissingPackageError
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
    """The package that indexes are kept with.

    Raises:
        MissingPackageError: it is not installed.
    """
    # Lance would log warnings of its own beside our errors.
    os.environ.setdefault("LANCEDB_LOG", "error")
    try:
        import lancedb
    except ImportError as error:
        raise MissingPackageError("indexes are kept in LanceDB: pip install 'isoglot[search]'") from error
    _leave_nothing_behind()
    return lancedb


@cache
def _leave_nothing_behind() -> None:
    """Cut what Lance leaves at the end of every scan: an exception that refers to itself through its traceback.

    From Python 3.12 on the traceback keeps the frames of all callers: a closed index would stay in memory with them.
    """
    from lancedb.background_loop import LOOP

    inner = LOOP.run

    def run(coroutine: Any) -> Any:
        try:
            return inner(coroutine)
        except StopAsyncIteration as end:
            end.__traceback__ = None
            raise StopAsyncIteration from None  # another one: Lance's own thread may still hold the first

    LOOP.run = run


def table_uri(folder: Path, table: str) -> str:
    """Where a table of an index folder lies."""
    return str(folder / "lance" / f"{table}.lance")


@contextmanager
def reading(folder: Path, number: int | None = None) -> Iterator[None]:
    """Turn what Lance says about lost or broken files into one clear message; `number` is the version open."""
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
    """What Lance says, without the places in its own source."""
    said = _OWN_PLACES.sub("", str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__
