"""Keeping an index at what folders hold, round after round, until somebody stops it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from isoglot.core.errors import IsoglotError, MissingPackageError
from isoglot.encoders.embedder import Model
from isoglot.search.index.building import Built, build_index
from isoglot.search.index.syncing import nothing_new

SETTLED = 1.0
LOOKED = 60.0
_TICK = 0.5  # seconds in which somebody who stops it is noticed


def watch_index(
    inputs: Sequence[Path],
    folder: Path,
    model: Model | str,
    *,
    told: Callable[[Built | Exception], None],
    stop: Event | None = None,
    settled: float = SETTLED,
    looked: float = LOOKED,
    **how: Any,
) -> None:
    """Bring an index to what files and folders hold, again and again.

    The system tells of changes; where it does not (folders of other machines, too many of them), the files are looked
    at every half second. Besides, sizes and times of all files are compared every `looked` seconds.

    Args:
        inputs: files and folders.
        folder: of the index.
        model: as for `build_index`.
        told: what each round did, or why it failed: an `IsoglotError`, or an `OSError` of a file that left meanwhile.
            The next round goes on.
        stop: ends it, once the round under way is done; it goes on for ever when None.
        settled: seconds without a change before a round begins, so that one that is being written is awaited.
        looked: seconds from one comparison to the next.
        how: further arguments of `build_index`.

    Raises:
        IsoglotError: the first round failed.
        KeyboardInterrupt: it was stopped so; what was stored stays, and the next round goes on from there.
        MissingPackageError: watchfiles is not installed.
    """
    first = True
    for _ in _rounds(list(inputs), folder, stop or Event(), settled, looked):
        if not first and nothing_new(inputs, folder):
            continue
        try:
            built = build_index(inputs, folder, model, sync=True, **how)
        except (IsoglotError, OSError) as error:
            if first:
                raise
            told(error)
        else:
            told(built)
        first = False


def _rounds(inputs: Sequence[Path], folder: Path, stop: Event, settled: float, looked: float) -> Iterator[None]:
    """Yields at first, when something changed, and now and then."""
    try:
        from watchfiles import watch
    except ImportError as error:
        raise MissingPackageError("folders are watched with watchfiles: pip install 'isoglot[search]'") from error

    def matters(change: object, path: str) -> bool:
        return _matters(Path(path), inputs, folder)

    polls: bool | None = None
    yield
    while not stop.is_set():
        places = _identities(inputs)
        if None in places:
            if not stop.wait(min(looked, 10 * _TICK)):
                yield
            continue
        # What changed before the system began to tell is found by the first look.
        last = -looked
        try:
            for changes in watch(
                *inputs,
                watch_filter=matters,
                debounce=int(1000 * max(settled, 0.1) * 5),
                step=int(1000 * settled),
                stop_event=stop,
                rust_timeout=int(1000 * _TICK),
                yield_on_timeout=True,
                force_polling=polls,
                ignore_permission_denied=True,
            ):
                if changes or time.monotonic() - last >= looked:
                    yield
                    last = time.monotonic()
                if _identities(inputs) != places:
                    break  # another folder, or another disk, is there now
        except (OSError, RuntimeError):  # such as no room for another watch
            if polls:
                raise
            polls = True


def _matters(path: Path, inputs: Sequence[Path], folder: Path) -> bool:
    """Whether a change may be of a document: neither hidden nor in the index itself."""
    if path.is_relative_to(folder.absolute()):
        return False
    for given in inputs:
        for place in (given.absolute(), given.resolve()):
            if path.is_relative_to(place):
                return not any(part.startswith(".") for part in path.relative_to(place).parts)
    return True


def _identities(inputs: Sequence[Path]) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for given in inputs:
        try:
            now = os.stat(given)
        except OSError:
            found.append(None)
        else:
            # A file that is saved by replacing it is another one each time.
            found.append((now.st_dev, now.st_ino))
    return found
