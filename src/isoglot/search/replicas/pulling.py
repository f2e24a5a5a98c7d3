"""Pulling an index from a place into a folder of this machine, one folder a snapshot.

What a snapshot shares with the one before is linked, not copied: a new version costs the room and the time of what is
new in it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import atomic_write, write_text
from isoglot.core.progress import Progress
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.snapshot import RECORD, Kept, Snapshot, parse, pushed

_AT_ONCE = 8
_NOW = "now"  # file that names the newest complete folder
_PART = ".part"
_OURS = re.compile(r"[0-9]{8,}-[0-9a-f]{8}(\.part)?")


@dataclass(frozen=True)
class Pulled:
    """What a pull left: the folder of the index, the snapshot in it, and how many files and bytes were fetched."""

    folder: Path
    snapshot: Snapshot
    files: int
    fetched: int


def pull(place: Place, into: Path) -> Pulled:
    """Bring a folder up to date with a place.

    The index lies in a folder of its own below `into`; the one before it stays for searches that are still in it, older
    ones go. Killed anywhere, what was complete stays, and the next pull goes on.

    Args:
        place: that an index was pushed to.
        into: folder of this machine; several processes may share it.

    Raises:
        InputError: no index there, or a broken one.
        IsoglotError: the store does not answer, what came is not what was pushed, or the disk is full.
    """
    snapshot = pushed(place)
    with _one_puller(into):
        last = kept_here(into)
        if last is not None and last.snapshot.name == snapshot.name:
            return last
        try:
            pulled = _pull(place, into, snapshot, last)
        except FileNotFoundError as error:
            # Two pushes have passed since we read the record, and cleared up what it names.
            newer = pushed(place)
            if newer.name == snapshot.name:
                raise IsoglotError(
                    f"{place.address}: an object of snapshot {snapshot.number} is missing; push the index again"
                ) from error
            try:
                pulled = _pull(place, into, newer, last)
            except FileNotFoundError as again:
                raise IsoglotError(f"{place.address}: pushed to faster than it can be pulled; try again") from again
        _forget(into, keep=[pulled.folder, *([last.folder] if last is not None else [])])
        return pulled


def kept_here(into: Path) -> Pulled | None:
    """The newest snapshot that was pulled into a folder; None where there is none."""
    try:
        folder = into / (into / _NOW).read_text(encoding="utf-8").strip()
        return Pulled(folder, parse((folder / RECORD).read_bytes(), str(folder)), 0, 0)
    except (OSError, InputError):
        return None


def _pull(place: Place, into: Path, snapshot: Snapshot, last: Pulled | None) -> Pulled:
    folder = into / f"{snapshot.number:08d}-{snapshot.name[:8]}"
    part = folder.with_suffix(_PART)
    had = {} if last is None else {kept.digest: last.folder / path for path, kept in last.snapshot.files.items()}
    missing: dict[str, tuple[Kept, Path]] = {}
    doubles: list[tuple[Kept, Path]] = []
    try:
        for path, kept in snapshot.files.items():
            target = part / _safe(path, place.address)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # whole, of a pull that was killed: files take their names when they are complete
                continue
            if (old := had.get(kept.digest)) is not None and _linked(old, target):
                continue
            if kept.digest in missing:
                doubles.append((kept, target))
            else:
                missing[kept.digest] = (kept, target)
        with Progress("fetching", total=len(missing)) as progress, ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda each: _fetch(place, *each), missing.values()):
                progress.advance()
        for kept, target in doubles:
            if not _linked(fetched := missing[kept.digest][1], target):
                with atomic_write(target) as temporary:
                    shutil.copyfile(fetched, temporary)
        (part / RECORD).write_bytes(snapshot.to_json())
        part.replace(folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IsoglotError(f"{error.filename or part}: cannot be written ({error.strerror or error})") from error
    write_text(into / _NOW, folder.name + "\n")
    return Pulled(folder, snapshot, len(missing), sum(kept.size for kept, _ in missing.values()))


def _fetch(place: Place, kept: Kept, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    digest = place.download(kept.key, temporary)
    if digest != kept.digest:
        temporary.unlink()
        raise IsoglotError(f"{place.address}/{kept.key}: not what was pushed (another SHA-256); push the index again")
    temporary.replace(target)


def _linked(old: Path, target: Path) -> bool:
    try:
        os.link(old, target)
    except OSError:  # no links on this file system, or the old file is gone
        return False
    return True


def _safe(path: str, address: str) -> PurePosixPath:
    """A path of a record, which comes from elsewhere and must stay within the folder."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path or "\0" in path:
        raise InputError(f"{address}/{RECORD}: names a file outside of the index ({path!r})")
    return parts


def _forget(into: Path, keep: list[Path]) -> None:
    for entry in into.iterdir():
        if _OURS.fullmatch(entry.name) and entry not in keep:
            shutil.rmtree(entry, ignore_errors=True)


@contextmanager
def _one_puller(into: Path) -> Iterator[None]:
    from filelock import FileLock

    try:
        into.mkdir(parents=True, exist_ok=True)
        lock = FileLock(into / ".lock")
        lock.acquire()
    except OSError as error:
        raise IsoglotError(f"{into}: cannot be written ({error.strerror or error}); name another folder") from error
    try:
        yield
    finally:
        lock.release()
