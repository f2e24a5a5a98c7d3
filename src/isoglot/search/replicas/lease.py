"""A lease on a place: only one writer holds it at a time, and loses it when it stops renewing it.

The holder changes the lease's object every few seconds. Another writer that sees it change gives up; one that sees no
change for a whole term takes the lease over. So no clocks are compared. Whoever takes the lease also marks the
snapshot's record, so that a holder who slept past the end of its lease finds another record and cannot publish.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.progress import progress_line
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.snapshot import RECORD, Snapshot, current

KEY = "isoglot-lease.json"
TERM = 60.0  # seconds without renewal after which another writer may take the lease
_SIGNS = 4  # renewals per term


class Lease:
    """A lease held by this process.

    Args:
        place: the index's.
        term: seconds; the same for all writers.

    Attributes:
        place: the index's.
        record_tag: tag of the snapshot's record after it was marked.
    """

    def __init__(self, place: Place, term: float = TERM) -> None:
        self.place, self._term = place, term
        self._name = uuid.uuid4().hex
        self._count, self._tag = 0, ""
        self._lock = threading.Lock()
        self.record_tag = ""

    @classmethod
    def take(cls, place: Place, term: float = TERM, *, sleep: Callable[[float], object] | None = None) -> Lease:
        """Take the lease of a place; if another writer holds it, first wait to see whether that writer is alive.

        Args:
            place: the index's; checked for support of conditional writes.
            term: seconds.
            sleep: waits for some seconds; `time.sleep` when None.

        Raises:
            InputError: another writer holds the lease, or the store does not honour conditional writes.
            IsoglotError: the store does not answer.
        """
        place.check_conditions()
        lease = cls(place, term)
        tag = _free(place, term, sleep)
        if not lease._swap(lease._content(), tag):
            raise InputError(f"{place.address}: another writer took the lease first; wait until it is done")
        lease._mark()
        return lease

    def renew(self) -> None:
        """Renew the lease.

        Raises:
            IsoglotError: another writer has taken the lease, or the store does not answer.
        """
        with self._lock:
            self._count += 1
            if not (self._swap(self._content(), self._tag) or self._regained()):
                raise IsoglotError(
                    f"{self.place.address}: the lease was lost to another writer; what was built here is not "
                    "published. Run the same command again when the other one is done"
                )

    @contextmanager
    def kept(self) -> Iterator[Lease]:
        """Renew the lease regularly until the block ends; then give it back."""
        end = threading.Event()

        def renew() -> None:
            while not end.wait(self._term / _SIGNS):
                try:
                    self.renew()
                except IsoglotError as error:
                    # Report only, and let `push` decide at the end: the store may be back by then.
                    progress_line(str(error))

        thread = threading.Thread(target=renew, daemon=True, name="lease")
        thread.start()
        try:
            yield self
        finally:
            end.set()
            thread.join()
            self._give_back()

    def _give_back(self) -> None:
        try:
            self.place.exchange(KEY, _FREE, self._tag)
        except IsoglotError as error:
            progress_line(f"{error}; the lease ends by itself after {self._term:g} seconds")

    def _content(self) -> bytes:
        holder = f"{socket.gethostname()}, process {os.getpid()}"
        return json.dumps({"holder": holder, "name": self._name, "sign": self._count, "term": self._term}).encode()

    def _swap(self, content: bytes, tag: str) -> bool:
        if tag:
            self.place.exchange(KEY, content, tag)
        else:
            self.place.create(KEY, content)
        # The store may have written it although its answer was lost, so check what it holds.
        found = self.place.read(KEY)
        if found is None or found.content != content:
            return False
        self._tag = found.tag
        return True

    def _regained(self) -> bool:
        """Return whether the lease is ours after all: a renewal may have succeeded although its answer was lost."""
        found = self.place.read(KEY)
        if found is None or _parsed(found.content, self.place)["name"] != self._name:
            return False
        return self._swap(self._content(), found.tag)

    def _mark(self) -> None:
        """Change the snapshot's record, so that nobody who read it before can replace it."""
        found = current(self.place)
        snapshot = Snapshot(0, 0, {}) if found is None else found[0]
        content = replace(snapshot, holder=self._name).to_json()
        if found is None:
            self.place.create(RECORD, content)
        else:
            self.place.exchange(RECORD, content, found[1])
        now = current(self.place)
        if now is None or now[0].holder != self._name:
            raise InputError(f"{self.place.address}: another writer published meanwhile; run again")
        self.record_tag = now[1]


def refuse_held(place: Place) -> None:
    """Raise InputError if a writer that is alive holds the lease of a place.

    Raises:
        InputError: there is one.
        IsoglotError: the store does not answer.
    """
    _free(place, TERM)


def _free(place: Place, term: float, sleep: Callable[[float], object] | None = None) -> str:
    """Return the tag of a lease that nobody holds, or that its holder does not renew; empty if there is none yet."""
    found = place.read(KEY)
    if found is None:
        return ""
    record = _parsed(found.content, place)
    if not record["holder"]:
        return found.tag
    term = max(term, float(record.get("term", term)))
    progress_line(f"{place.address}: {record['holder']} holds the lease; waiting up to {term:g} s for a sign of life")
    for _ in range(2 * _SIGNS):
        (sleep or time.sleep)(term / (2 * _SIGNS))
        now = place.read(KEY)
        if now is None:
            return ""
        if now.tag == found.tag:
            continue
        if _parsed(now.content, place)["holder"]:
            raise InputError(
                f"{place.address}: {record['holder']} is writing this index; wait until it is done, then run again"
            )
        return now.tag
    return found.tag


def _parsed(content: bytes, place: Place) -> dict[str, Any]:
    try:
        record = json.loads(content)
        return {
            "holder": str(record["holder"]),
            "name": str(record.get("name", "")),
            "term": float(record.get("term", 0)),
        }
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{place.address}/{KEY}: broken ({type(error).__name__}); delete this object") from error


_FREE = json.dumps({"holder": ""}).encode()
