"""The files that an index was brought to, as they were then: what has not changed is not read again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.documents.document import Source

SYNCED = "synced.json"
_COARSE = 2_000_000_000  # nanoseconds that a file system's clock may be rough by


class FileState(NamedTuple):
    """A file when it was read last.

    Attributes:
        size: bytes.
        changed: nanoseconds since 1970; 0 where it was so fresh that a further change might not show.
        digest: hash of its bytes; empty where they cannot be read.
        whole: whether all that it holds is in the index under its name; it is read again otherwise.
    """

    size: int
    changed: int
    digest: str
    whole: bool


def read_states(folder: Path, version: int) -> dict[str, FileState]:
    """The files by name, as a version of an index was brought to them; none where that is not known."""
    path = folder / SYNCED
    if not path.is_file():
        return {}
    try:
        record = read_json(path)
        if record["version"] != version:
            return {}  # it was rolled back, or updated otherwise
        return {name: FileState(*state) for name, state in record["files"].items()}
    except (InputError, TypeError, KeyError, AttributeError):
        return {}  # all files are read again


def write_states(folder: Path, version: int, files: Mapping[str, FileState]) -> None:
    """Note which files a version was brought to."""
    write_json(folder / SYNCED, {"version": version, "files": files})


def compared(sources: Sequence[Source], known: Mapping[str, FileState]) -> tuple[dict[str, FileState], list[Source]]:
    """The state of files, and those of them to read: new ones, changed ones, and those that were not read whole.

    Args:
        sources: all files.
        known: as they were.
    """
    begun = time.time_ns()
    files: dict[str, FileState] = {}
    changed = []
    for source in sources:
        before, now = known.get(source.name), source.path.stat()
        if before is not None and before.whole and is_as_it_was(before, source):
            files[source.name] = before
            continue
        try:
            digest = _digest(source.path)
        except OSError:
            digest = ""  # reading it says why
        moment = 0 if now.st_mtime_ns > begun - _COARSE else now.st_mtime_ns
        files[source.name] = FileState(now.st_size, moment, digest, bool(digest))
        if before is None or not before.whole or before.digest != digest:
            changed.append(source)
    return files, changed


def is_as_it_was(state: FileState, source: Source) -> bool:
    """Whether size and time of a file are the same, without reading it."""
    now = source.path.stat()
    return (state.size, state.changed) == (now.st_size, now.st_mtime_ns)


def is_readable(path: Path) -> bool:
    """Whether a file can be opened now; its size and time do not tell when that changes."""
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
