"""The state of the files that an index was synced with, so that unchanged files are not read again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.documents.document import Source

SYNCED = "synced.json"
_COARSE = 2_000_000_000  # nanoseconds; coarsest resolution of a file system's timestamps


class FileState(NamedTuple):
    """The state of a file when it was last read.

    Attributes:
        size: bytes.
        changed: time of the last change, nanoseconds since 1970; 0 if so recent that a further change might not show.
        digest: hash of its bytes; empty if it cannot be read.
        whole: whether all its documents are in the index under its name; if not, it is read again.
        touched: time of the last change of anything about it, which programs cannot set (`ctime`; on Windows, when it
            was created); 0 in records of earlier releases.
    """

    size: int
    changed: int
    digest: str
    whole: bool
    touched: int = 0


def read_states(folder: Path, version: int) -> dict[str, FileState]:
    """Return the files by name, as recorded when this version of the index was synced; empty if not recorded."""
    path = folder / SYNCED
    if not path.is_file():
        return {}
    try:
        record = read_json(path)
        if record["version"] != version:
            return {}  # it was rolled back, or updated without `sync`
        return {name: FileState(*state) for name, state in record["files"].items()}
    except (InputError, TypeError, KeyError, AttributeError):
        return {}  # all files are read again


def write_states(folder: Path, version: int, files: Mapping[str, FileState]) -> None:
    """Record the state of the files that a version was synced with."""
    write_json(folder / SYNCED, {"version": version, "files": files})


def compared(sources: Sequence[Source], known: Mapping[str, FileState]) -> tuple[dict[str, FileState], list[Source]]:
    """Return the state of the files, and those to read: new, changed, or not completely read before.

    Args:
        sources: all files; those that were removed since they were listed are passed over.
        known: their recorded states.
    """
    begun = time.time_ns()
    files: dict[str, FileState] = {}
    changed = []
    for source in sources:
        try:
            now = source.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        before = known.get(source.name)
        if before is not None and before.whole and is_as_it_was(before, now):
            files[source.name] = before
            continue
        try:
            digest = _digest(source.path)
        except OSError:
            digest = ""  # the reader will report why
        moment = 0 if now.st_mtime_ns > begun - _COARSE else now.st_mtime_ns
        files[source.name] = FileState(now.st_size, moment, digest, bool(digest), now.st_ctime_ns)
        if before is None or not before.whole or before.digest != digest:
            changed.append(source)
    return files, changed


def is_as_it_was(state: FileState, now: os.stat_result) -> bool:
    """Return whether size and times of a file are unchanged."""
    return (state.size, state.changed, state.touched) == (now.st_size, now.st_mtime_ns, now.st_ctime_ns)


def touched_since(sources: Sequence[Source], files: Mapping[str, FileState]) -> set[str]:
    """Return the names of files that changed, or are gone, since `compared` looked at them.

    What was read of them may be neither what they held then nor what they hold now.
    """
    names = set()
    for source in sources:
        state = files[source.name]
        try:
            now = source.path.stat()
        except OSError:
            names.add(source.name)
            continue
        if (state.size, state.touched) != (now.st_size, now.st_ctime_ns) or state.changed not in (0, now.st_mtime_ns):
            names.add(source.name)
    return names


def is_readable(path: Path) -> bool:
    """Return whether a file can be opened; a change of permissions shows neither in its size nor in its time."""
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
