"""Push an index folder to a place, so that other machines can pull it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.files import sha256
from isoglot.core.progress import Progress
from isoglot.search.index.file_states import SYNCED
from isoglot.search.index.ledger import SHARDS
from isoglot.search.index.manifest import BUILDING, FILE, read_manifest
from isoglot.search.index.store import one_writer
from isoglot.search.replicas.lease import Lease, refuse_held
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.snapshot import OBJECTS, RECORD, Kept, Snapshot, current

_AT_ONCE = 8
_OWN = (BUILDING, SYNCED, RECORD)  # files that only local writers and pulls use, as are hidden ones


@dataclass(frozen=True)
class Pushed:
    """Result of a push: the current snapshot, the number of files and bytes sent, and whether the snapshot is new."""

    snapshot: Snapshot
    files: int
    sent: int
    new: bool


def push(folder: Path, place: Place, lease: Lease | None = None) -> Pushed:
    """Make a place hold what an index folder holds; content that it already has is not sent again.

    Readers see the old state or the new one. If a push is killed, the old state stays, and the next push sends only
    what is missing. Of two simultaneous pushes one fails.

    Args:
        folder: of the index; readers will see its published version.
        place: to push to.
        lease: held by the caller; when None, first check for up to a term that no other writer holds one.

    Raises:
        InputError: there is no index, another process is writing it or pushed first, or the store does not honour
            conditional writes.
        IsoglotError: the store does not answer.
    """
    manifest = read_manifest(folder)
    if lease is None:
        place.check_conditions()
        refuse_held(place)
    with one_writer(folder):
        found = current(place)
        old, tag = (None, "") if found is None else found
        if lease is not None and tag != lease.record_tag:
            raise InputError(
                f"{place.address}: another push came first, in spite of the lease; run again to build on it"
            )
        if old is not None and not old.number:
            old = None
        number = 1 if old is None else old.number + 1
        there = _there(place, number)
        files, missing = _described(folder, old, number, there)
        if old is not None and old.files == files:
            return Pushed(old, 0, 0, new=False)
        _send(place, missing)
        dropped = set() if old is None else {kept.key for kept in old.files.values()}
        dropped -= {kept.key for kept in files.values()}
        snapshot = Snapshot(number, manifest.version.number, files, sorted(dropped))
        # Listed before publishing, so that what a later writer sends is not among them.
        leftover = set(there) - {kept.key for kept in files.values()} - dropped
        if lease is not None:
            lease.renew()
        _publish(place, snapshot, tag)
    place.delete(sorted(leftover))
    sent = {kept.key: kept.size for kept, _ in missing}
    return Pushed(snapshot, len(sent), sum(sent.values()), new=True)


def _there(place: Place, number: int) -> dict[str, int]:
    """Return the sizes of objects up to this number; later ones belong to writers that are ahead of us."""
    sizes = dict(place.keys(OBJECTS))
    return {key: size for key, size in sizes.items() if _number(key) <= number}


def _number(key: str) -> int:
    part = key.split("/")[1] if key.count("/") == 2 else ""
    return int(part) if part.isascii() and part.isdigit() else 0


def _described(
    folder: Path, old: Snapshot | None, number: int, there: dict[str, int]
) -> tuple[dict[str, Kept], list[tuple[Kept, Path]]]:
    """Return all files of the folder as entries of the new snapshot, and those whose content must be sent."""
    known = {} if old is None else {kept.digest: kept for kept in old.files.values()}
    files, missing = {}, {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    # Hidden files are locks, marks, and what writers that were killed left behind.
    paths = [path for path in paths if path.name not in _OWN and not path.name.startswith(".")]
    paths = [path for path in paths if path.relative_to(folder).parts[0] != SHARDS]
    with Progress("reading", total=len(paths)) as progress:
        for path in paths:
            digest, size = sha256(path), path.stat().st_size
            kept = known.get(digest) or Kept(f"{OBJECTS}/{number}/{digest}", size, digest)
            if there.get(kept.key) != size:
                missing[kept.key] = (kept, path)
            files[path.relative_to(folder).as_posix()] = kept
            progress.advance()
    if FILE not in files:
        raise InputError(f"{folder}: no index there")
    return files, list(missing.values())


def _send(place: Place, missing: list[tuple[Kept, Path]]) -> None:
    with Progress("sending", total=len(missing)) as progress, ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(lambda each: place.upload(each[0].key, each[1]), missing):
            progress.advance()


def _publish(place: Place, snapshot: Snapshot, tag: str) -> None:
    """Make a snapshot the current one, if the place is still in the state that the snapshot was made from."""
    content = snapshot.to_json()
    done = place.exchange(RECORD, content, tag) if tag else place.create(RECORD, content)
    if done:
        return
    # The store may have written it although its answer was lost, so check whether the record is ours.
    now = current(place)
    if now is None or now[0].name != snapshot.name:
        other = "nothing" if now is None else f"snapshot {now[0].number}"
        raise InputError(f"{place.address}: another push came first ({other} is there now); push again to replace it")
