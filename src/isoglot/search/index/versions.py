"""The published versions of an index: roll back to one, and remove old ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from isoglot.core.errors import InputError, needs
from isoglot.core.files import read_json
from isoglot.search.index.lance_tables import FOLDED, PASSAGES, table_uri
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.manifest import BUILDING, Manifest, Version, read_manifest
from isoglot.search.index.passages_table import SAMPLES
from isoglot.search.index.store import Store, one_writer, writing
from isoglot.search.index.tags import keep_only, tag


@dataclass(frozen=True)
class Pruned:
    """Result of pruning: the new manifest, the numbers of the removed versions, and the bytes freed on disk."""

    manifest: Manifest
    removed: list[int]
    freed: int


def roll_back(folder: Path, number: int) -> Manifest:
    """Make an earlier (or later) published version the current one; an unfinished update is discarded.

    Raises:
        InputError: no index, no such version, or another process is writing.
    """
    read_manifest(folder)
    with one_writer(folder):
        manifest = read_manifest(folder).at(number)
        manifest.write(folder)
        (folder / BUILDING).unlink(missing_ok=True)
        Ledger(folder).forget()
    return manifest


def prune(folder: Path, keep: int) -> Pruned:
    """Remove all published versions except the newest ones and the current one, and the files that only they need.

    Published versions are tagged, and tagged versions are never removed; neither are files that are not committed yet
    (Lance removes those after a week). Readers of a remaining version are not affected; readers of a removed one get an
    error. If pruning is killed or the disk fills up, the index stays readable, and another run frees what was left.

    Args:
        folder: of the index.
        keep: number of newest versions to keep, at least 1; the current version is kept even if it is older.

    Raises:
        InputError: `keep` below 1, no index, another process is writing, or an update is unfinished.
        IsoglotError: files cannot be written or removed.
        MissingPackageError: pylance is not installed.
    """
    if keep < 1:
        raise InputError(f"prune {keep}: expected at least 1, the number of newest versions to keep")
    read_manifest(folder)
    with one_writer(folder):
        manifest = read_manifest(folder)
        _refuse_unfinished(folder, manifest)
        before = _bytes(folder)
        newest = sorted(version.number for version in manifest.versions)[-keep:]
        kept = [version for version in manifest.versions if version.number in (*newest, manifest.current)]
        removed = [version.number for version in manifest.versions if version not in kept]
        store = Store(folder, manifest.dimension)
        left = replace(manifest, versions=kept)
        with writing(folder):
            for version in kept:
                tag(store, version)  # published by an older release, without tags
            left.write(folder)
            keep_only(store, kept)
            for number in removed:
                (folder / SAMPLES / f"{number}.npz").unlink(missing_ok=True)
            last = max(kept, key=lambda version: version.number)
            _leave_nothing_unpublished(store, kept, last)
            _clean(table_uri(folder, PASSAGES))
            _clean(table_uri(folder, FOLDED))
        return Pruned(left, removed, max(0, before - _bytes(folder)))


def _refuse_unfinished(folder: Path, manifest: Manifest) -> None:
    if not (folder / BUILDING).is_file():
        return
    inputs = " ".join(read_json(folder / BUILDING).get("inputs", ())) or "INPUT..."
    raise InputError(
        f"{folder}: an update ({inputs}) was not finished, and pruning could take what it has stored; finish it with "
        f"the same inputs and `resume`, or give it up with `isoglot index -o {folder} --roll-back {manifest.current}`"
    )


def _leave_nothing_unpublished(store: Store, kept: list[Version], last: Version) -> None:
    """Restore the last published version on top, since Lance always keeps a table's latest version."""
    tops = {(version.passages_at, version.folded_at) for version in kept}
    if store.passages.version not in {passages for passages, _ in tops}:
        store.restore(last.passages_at, store.folded.version)
    if store.folded.version not in {folded for _, folded in tops}:
        store.restore(store.passages.version, last.folded_at)


def _clean(uri: str) -> None:
    """Remove all versions of a table except tagged ones and the latest, and the files that only they need."""
    with needs("pruning needs pylance", "search"):
        import lance
    # By number and tag, not by age, as clocks differ. Uncommitted files are kept: their writer may still commit them.
    lance.dataset(uri).cleanup_old_versions(
        retain_versions=1, delete_unverified=False, error_if_tagged_old_versions=False
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
