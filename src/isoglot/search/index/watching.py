"""Keep an index in sync with folders until stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from isoglot.core.errors import IsoglotError, needs
from isoglot.encoders.embedder import Model
from isoglot.search.index.building import Built, build_index
from isoglot.search.index.syncing import nothing_new

SETTLED = 1.0
LOOKED = 60.0
_TICK = 0.5  # seconds between checks of `stop`


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
    """Sync an index with files and folders, again and again.

    The operating system reports changes; if it cannot (such as for too many folders), the files are polled instead. As
    some changes go unreported (such as in network folders), sizes and times of all files are also compared every
    `looked` seconds.

    Args:
        inputs: files and folders.
        folder: of the index.
        model: as for `build_index`.
        told: called with the result of each round, or with the error that it failed with: an `IsoglotError`, or an
            `OSError` if a file disappeared meanwhile. The next round tries again.
        stop: when set, ends the watch after the current round; None to run forever.
        settled: seconds without a change before a round begins, so that files are complete when they are read.
        looked: seconds from one comparison to the next.
        how: further arguments of `build_index`.

    Raises:
        IsoglotError: the first round failed.
        KeyboardInterrupt: the user stopped it; what was stored is kept, and the next run continues from there.
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
    """Yield at the start, when something changed, and every `looked` seconds."""
    with needs("folders are watched with watchfiles", "search"):
        from watchfiles import watch

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
        # Compare at once, to find changes made before the system began to report them.
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
        except (OSError, RuntimeError):  # such as too many watches
            if polls:
                raise
            polls = True


def _matters(path: Path, inputs: Sequence[Path], folder: Path) -> bool:
    """Return whether a changed path may be a document: neither hidden nor in the index itself."""
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
            # A file that is saved by replacing it has a new inode each time.
            found.append((now.st_dev, now.st_ino))
    return found
