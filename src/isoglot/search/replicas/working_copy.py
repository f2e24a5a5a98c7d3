"""Change an index in an object store: a local working copy, a lease, and one atomic publication."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import link_or_copy, unwritable, write_text
from isoglot.search.index.ledger import SHARDS
from isoglot.search.index.manifest import FILE
from isoglot.search.index.replacing import is_begun
from isoglot.search.index.store import one_writer
from isoglot.search.replicas.lease import TERM, Lease
from isoglot.search.replicas.opening import folder_of
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.pulling import pull
from isoglot.search.replicas.pushing import Pushed, push
from isoglot.search.replicas.snapshot import RECORD, Snapshot, current, parse


@dataclass
class WorkingCopy:
    """A local folder that mirrors a place, until it is changed and published.

    Attributes:
        folder: of the index; it also holds what an interrupted build has finished.
        built: whether it holds a complete index that was never published, as the run was killed just before that.
    """

    folder: Path
    built: bool
    _lease: Lease

    def publish(self) -> Pushed:
        """Make the place hold what the folder holds.

        Raises:
            InputError: another writer published meanwhile.
            IsoglotError: the lease was lost, or the store does not answer.
        """
        done = push(self.folder, self._lease.place, self._lease)
        _remember(self.folder, done.snapshot)
        return done


@contextmanager
def working_copy(
    place: Place,
    local: Path | None = None,
    *,
    new: bool,
    overwrite: bool = False,
    resume: bool = False,
    term: float = TERM,
) -> Iterator[WorkingCopy]:
    """Hold the lease of a place for the duration of a block, and yield a working copy of its index.

    Args:
        place: of the index.
        local: folder for working copies; the cache when None.
        new: whether to make a new index; an existing one is an error, or replaced with `overwrite`.
        overwrite: see `new`.
        resume: continue a build that was to replace the existing index.
        term: of the lease, in seconds.

    Raises:
        InputError: another writer holds the lease or uses the working copy, the store does not honour conditional
            writes, an index exists although `new` is set, or none exists although it is not.
        IsoglotError: the store does not answer, or the disk is full.
    """
    home = folder_of(f"{place.address}#working", local)
    folder = home / "index"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(home, error) from error
    # A process that was stopped loses the lease but goes on writing here when it wakes up, so nobody else may.
    with one_writer(home), Lease.take(place, term).kept() as lease:
        found = current(place)
        there = found[0] if found is not None and found[0].number else None
        if new:
            if there is not None and not (overwrite or (resume and is_begun(folder))):
                raise InputError(
                    f"{place.address}: this index is finished; give `update` to add to it, or `overwrite` to replace it"
                )
            if there is None and _remembered(folder) is not None:
                shutil.rmtree(folder)  # copy of an index that no longer exists
        elif _remembered(folder) != (there.name if there is not None else ""):
            _renew(place, home, folder)
        built = new and (folder / FILE).is_file() and _remembered(folder) is None
        yield WorkingCopy(folder, built, lease)


def _renew(place: Place, home: Path, folder: Path) -> None:
    """Make the folder a copy of the place; finished shards are kept, as they are identified by their content."""
    pulled = pull(place, home / "pulled")
    fresh, shards = home / "index.part", folder / SHARDS
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        shutil.copytree(pulled.folder, fresh, copy_function=link_or_copy)
        if shards.is_dir():
            shards.replace(fresh / SHARDS)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.replace(folder)
    except OSError as error:
        raise IsoglotError(f"{folder}: cannot be written ({error.strerror or error}); make room") from error


def _remember(folder: Path, snapshot: Snapshot) -> None:
    write_text(folder / RECORD, snapshot.to_json().decode())


def _remembered(folder: Path) -> str | None:
    """Return the name of the snapshot that a working copy was made from or published as; None if there is none."""
    try:
        return parse((folder / RECORD).read_bytes(), str(folder)).name
    except (OSError, InputError):
        return None
