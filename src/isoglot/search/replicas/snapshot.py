"""The content of a place: one snapshot of an index, with each file stored under the hash of its content.

The snapshot's record is the only object that ever changes, by one conditional write: a writer that started from an
older state fails, and readers see the state before or after, never one in between. The keys of other objects contain
the number of the snapshot that first held them, so that cleaning up after publishing number n never touches what a
writer of n + 1 relies on; no clock is involved.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.search.replicas.place import Place

FORMAT = 1
RECORD = "isoglot-snapshot.json"
OBJECTS = "objects"
_NAME = re.compile("[0-9A-Za-z]+")


class Kept(NamedTuple):
    """The key of a file's content, its size in bytes, and its SHA-256."""

    key: str
    size: int
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """The files of an index at one moment.

    Attributes:
        number: counts up from 1; 0 in a record written before the first snapshot.
        version: the index's published version in it.
        files: the content of each file of the index folder, by its path with `/`.
        before: keys of the previous snapshot that this one does not use; readers may still be fetching them.
        name: unique to this snapshot, to distinguish it from another one with the same number.
        holder: of the lease under which the record was last written; empty if there was none.
    """

    number: int
    version: int
    files: dict[str, Kept]
    before: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    holder: str = ""

    def to_json(self) -> bytes:
        """Return the record's content."""
        return json.dumps({"isoglot_snapshot": FORMAT, **asdict(self)}, ensure_ascii=False).encode()

    @property
    def size(self) -> int:
        """Total size of all files in bytes."""
        return sum(kept.size for kept in self.files.values())


def parse(content: bytes, where: str) -> Snapshot:
    """Parse a record.

    Raises:
        InputError: it is no record, broken, or of another format.
    """
    try:
        record = json.loads(content)
        found = record.pop("isoglot_snapshot", None)
        if found == FORMAT:
            files = {path: Kept(*kept) for path, kept in record.pop("files").items()}
            snapshot = Snapshot(files=files, **record)
            if not (type(snapshot.number) is int and snapshot.number >= 0 and _NAME.fullmatch(snapshot.name)):
                raise ValueError  # both become part of a path
            return snapshot
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{where}/{RECORD}: broken ({type(error).__name__}); push the index to a new prefix"
        ) from error
    raise InputError(f"{where}/{RECORD}: snapshot format {found}, this isoglot reads format {FORMAT}; update isoglot")


def current(place: Place) -> tuple[Snapshot, str] | None:
    """Return the snapshot that a place holds now, and the tag of its record; None if there is none.

    Raises:
        InputError: its record is broken.
        IsoglotError: the store does not answer.
    """
    found = place.read(RECORD)
    return None if found is None else (parse(found.content, place.address), found.tag)


def pushed(place: Place) -> Snapshot:
    """Return the snapshot that a place holds now.

    Raises:
        InputError: there is none, or its record is broken.
        IsoglotError: the store does not answer.
    """
    found = current(place)
    if found is None or not found[0].number:  # number 0: nothing published yet, but a writer has marked the record
        raise InputError(f"{place.address}: no index there; push one with `isoglot push INDEX {place.address}`")
    return found[0]
