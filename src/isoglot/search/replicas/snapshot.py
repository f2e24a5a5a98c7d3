"""What a place holds: one snapshot of an index, every file of it by the hash of its content.

The snapshot's record is the only object that ever changes, and it changes by one exchange under a condition: a writer
that began from an older state loses, and readers see the state before or after, never one between. Other objects have
the number of the snapshot that first held them in their key, so that whoever clears up after publishing number n
touches nothing that a writer of n + 1 relies on; no clock decides anything.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from isoglot.core.errors import InputError
from isoglot.search.replicas.place import Place

FORMAT = 1
RECORD = "isoglot-snapshot.json"
OBJECTS = "objects"


class Kept(NamedTuple):
    """Where a file's content lies, how many bytes it has, and its SHA-256."""

    key: str
    size: int
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """The files of an index at one moment.

    Attributes:
        number: counts up from 1; 0 of a record that is there before the first snapshot is.
        version: the index's published version in it.
        files: what each file of the index folder holds, by its path with `/`.
        before: keys that the snapshot before this one held and this one does not; readers may still be at them.
        name: of this very snapshot, to tell it from another one of the same number.
        holder: of the lease under which the record was written last; empty where there was none.
    """

    number: int
    version: int
    files: dict[str, Kept]
    before: list[str] = field(default_factory=list)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    holder: str = ""

    def to_json(self) -> bytes:
        """The record's content."""
        return json.dumps({"isoglot_snapshot": FORMAT, **asdict(self)}, ensure_ascii=False).encode()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(kept.size for kept in self.files.values())


def parse(content: bytes, where: str) -> Snapshot:
    """Read a record.

    Raises:
        InputError: it is none, a broken one, or of another format.
    """
    try:
        record = json.loads(content)
        found = record.pop("isoglot_snapshot", None)
        if found == FORMAT:
            files = {path: Kept(*kept) for path, kept in record.pop("files").items()}
            return Snapshot(files=files, **record)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{where}/{RECORD}: broken ({type(error).__name__}); push the index to a new prefix"
        ) from error
    raise InputError(f"{where}/{RECORD}: snapshot format {found}, this isoglot reads format {FORMAT}; update isoglot")


def current(place: Place) -> tuple[Snapshot, str] | None:
    """The snapshot that a place holds now, and the tag of its record; None where there is none.

    Raises:
        InputError: its record is broken.
        IsoglotError: the store does not answer.
    """
    found = place.read(RECORD)
    return None if found is None else (parse(found.content, place.address), found.tag)


def pushed(place: Place) -> Snapshot:
    """The snapshot that a place holds now.

    Raises:
        InputError: there is none, or its record is broken.
        IsoglotError: the store does not answer.
    """
    found = current(place)
    if found is None or not found[0].number:  # nothing yet, but somebody builds it
        raise InputError(f"{place.address}: no index there; push one with `isoglot push INDEX {place.address}`")
    return found[0]
