"""The published versions of an index: going back to one, and removing old ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.search.index.lance import SAMPLES
from isoglot.search.index.manifest import BUILDING, Manifest, read_manifest
from isoglot.search.index.store import Store, one_writer, writing

_TAG = "isoglot-keeps-"
# Lance removes what is older than so long ago, and reads its clock a moment after we read ours. Versions that are
# younger than the slack stay until the next time.
_SLACKS = (timedelta(seconds=0.2), timedelta(seconds=5), timedelta(minutes=5))


@dataclass(frozen=True)
class Pruned:
    """What pruning did: the manifest it left, the numbers of the versions removed, bytes freed on disk."""

    manifest: Manifest
    removed: list[int]
    freed: int


def roll_back(folder: Path, number: int) -> Manifest:
    """Make an earlier (or later) published version the one that readers see.

    Raises:
        InputError: no index, no such version, or another process is writing.
    """
    read_manifest(folder)
    with one_writer(folder):
        manifest = read_manifest(folder).at(number)
        manifest.write(folder)
    return manifest


def prune(folder: Path, keep: int) -> Pruned:
    """Remove published versions but the newest ones and the current one, with all files that only they need.

    Readers of a version that is kept go on undisturbed; readers of one that is removed meet an error. What an
    interrupted update had stored goes too. Killed or out of disk at any point, it leaves a readable index; run again,
    it frees what was left over.

    Args:
        folder: of the index.
        keep: how many of the newest versions stay, at least 1; a current version that is older stays besides.

    Raises:
        InputError: keep under 1, no index, or another process is writing.
        IsoglotError: files cannot be written or removed.
    """
    if keep < 1:
        raise InputError(f"--prune {keep}: expected at least 1, how many of the newest versions to keep")
    read_manifest(folder)
    with one_writer(folder):
        before = _bytes(folder)
        manifest = read_manifest(folder)
        newest = sorted(version.number for version in manifest.versions)[-keep:]
        kept = [version for version in manifest.versions if version.number in (*newest, manifest.current)]
        removed = [version.number for version in manifest.versions if version not in kept]
        (folder / BUILDING).unlink(missing_ok=True)
        store = Store(folder, manifest.dimension)
        with writing(folder):
            # Lance removes by age: so what stays is made new, as copies of its file lists.
            time.sleep(_SLACKS[0].total_seconds())
            passages = _renew(store.passages, [version.passages_at for version in kept])
            folded = _renew(store.folded, [version.folded_at for version in kept])
            left = _at(replace(manifest, versions=kept), passages, folded)
            left.write(folder)
            for number in removed:
                (folder / SAMPLES / f"{number}.npz").unlink(missing_ok=True)
            last = max(kept, key=lambda version: version.number)
            passages[last.passages_at] = _clean(store.passages, list(passages.values()), passages[last.passages_at])
            folded[last.folded_at] = _clean(store.folded, list(folded.values()), folded[last.folded_at])
            left = _at(replace(manifest, versions=kept), passages, folded)
            left.write(folder)
        return Pruned(left, removed, max(0, before - _bytes(folder)))


def _renew(table: Any, numbers: list[int]) -> dict[int, int]:
    """Make each of these versions of a table anew, oldest first; the new number of each."""
    renewed = {}
    for number in sorted(set(numbers)):
        renewed[number] = _restore(table, number)
    return renewed


def _clean(table: Any, kept: list[int], last: int) -> int:
    """Remove all versions before the first of those kept; the number at which the last one stands at the end."""
    # Lance compacts the latest version on the way, which would take room for a second copy: it gets an empty one.
    table.delete("true")
    _untag(table)
    for number in kept:
        table.tags.create(f"{_TAG}{number}", number)  # Lance refuses to remove what has a tag
    since = min(version["timestamp"] for version in table.list_versions() if version["version"] in kept)
    for slack in _SLACKS:
        try:
            # No other writer holds the lock, so files of transactions that were never finished can go too.
            age = max(timedelta(0), datetime.now() - since + slack)
            table.optimize(cleanup_older_than=age, delete_unverified=True)
            break
        except RuntimeError as error:
            if "tagged version" not in str(error) or slack is _SLACKS[-1]:
                raise
    _untag(table)
    return _restore(table, last)


def _untag(table: Any) -> None:
    for name in table.tags.list():
        if name.startswith(_TAG):
            table.tags.delete(name)


def _restore(table: Any, number: int) -> int:
    table.checkout(number)
    table.restore()
    return int(table.version)


def _at(manifest: Manifest, passages: dict[int, int], folded: dict[int, int]) -> Manifest:
    """The manifest with the tables' new version numbers."""
    versions = [
        replace(version, passages_at=passages[version.passages_at], folded_at=folded[version.folded_at])
        for version in manifest.versions
    ]
    return replace(manifest, versions=versions)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
