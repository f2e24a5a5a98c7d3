"""Pull an index from a place into a local folder, one subfolder per snapshot.

Files that a snapshot shares with the previous one are hard-linked, not copied: a new version takes only the space and
time of what is new in it.
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
from isoglot.core.files import atomic_write, put_on_disk, write_text
from isoglot.core.progress import Progress
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.snapshot import RECORD, Kept, Snapshot, parse, pushed

_AT_ONCE = 8
_NOW = "now"  # file with the name of the newest complete folder
_PART = ".part"
_OURS = re.compile(r"[0-9]{8,}-[0-9a-f]{8}(\.part)?")


@dataclass(frozen=True)
class Pulled:
    """Result of a pull: the index's folder, its snapshot, and the number of files and bytes fetched."""

    folder: Path
    snapshot: Snapshot
    files: int
    fetched: int


def pull(place: Place, into: Path) -> Pulled:
    """Bring a local folder up to date with a place.

    The index is in a subfolder of `into`; the previous one is kept for searches that still use it, older ones are
    removed. If a pull is killed, complete files are kept, and the next pull continues.

    Args:
        place: to which an index was pushed.
        into: local folder; several processes may share it.

    Raises:
        InputError: there is no index, or it is broken.
        IsoglotError: the store does not answer, what arrived is not what was pushed, or the disk is full.
    """
    snapshot = pushed(place)
    with _one_puller(into):
        last = kept_here(into)
        if last is not None and last.snapshot.name == snapshot.name:
            return last
        try:
            pulled = _pull(place, into, snapshot, last)
        except FileNotFoundError as error:
            # Since we read the record, two more pushes have removed objects that it names.
            newer = pushed(place)
            if newer.name == snapshot.name:
                raise IsoglotError(
                    f"{place.address}: an object of snapshot {snapshot.number} is missing; push the index again"
                ) from error
            try:
                pulled = _pull(place, into, newer, last)
            except FileNotFoundError as again:
                raise IsoglotError(
                    f"{place.address}: new snapshots are pushed faster than one can be pulled; try again"
                ) from again
        _forget(into, keep=[pulled.folder, *([last.folder] if last is not None else [])])
        return pulled


def kept_here(into: Path) -> Pulled | None:
    """Return the newest snapshot that was pulled into a folder; None if there is none."""
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
        if folder.is_dir():  # from a pull that was killed before it named this folder as the newest
            shutil.rmtree(part, ignore_errors=True)
            folder.replace(part)
        for path, kept in snapshot.files.items():
            target = part / _safe(path, place.address)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():  # complete, from a killed pull: files are renamed into place when complete
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
                    put_on_disk([temporary])
        (part / RECORD).write_bytes(snapshot.to_json())
        put_on_disk([part / RECORD])
        part.replace(folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IsoglotError(f"{error.filename or part}: cannot be written ({error.strerror or error})") from error
    write_text(into / _NOW, folder.name + "\n", lasting=True)
    return Pulled(folder, snapshot, len(missing), sum(kept.size for kept, _ in missing.values()))


def _fetch(place: Place, kept: Kept, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    digest = place.download(kept.key, temporary)
    if digest != kept.digest:
        temporary.unlink()
        raise IsoglotError(
            f"{place.address}/{kept.key}: differs from what was pushed (another SHA-256); push the index again"
        )
    # A file with its name counts as complete, and later snapshots link to it: it must survive a power failure.
    put_on_disk([temporary])
    temporary.replace(target)


def _linked(old: Path, target: Path) -> bool:
    try:
        os.link(old, target)
    except OSError:  # this file system has no hard links, or the old file is gone
        return False
    return True


def _safe(path: str, address: str) -> PurePosixPath:
    """Check a path from a record, which is untrusted input, for being inside the folder."""
    parts = PurePosixPath(path)
    if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path or "\0" in path:
        raise InputError(f"{address}/{RECORD}: names a file outside the index ({path!r})")
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
