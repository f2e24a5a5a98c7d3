"""The published versions of an index: going back to one, and removing old ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from isoglot.core.errors import InputError, MissingPackageError
from isoglot.core.files import read_json
from isoglot.search.index.lance_tables import FOLDED, PASSAGES, table_uri
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.manifest import BUILDING, Manifest, Version, read_manifest
from isoglot.search.index.passages_table import SAMPLES
from isoglot.search.index.store import Store, one_writer, writing
from isoglot.search.index.tags import keep_only, tag


@dataclass(frozen=True)
class Pruned:
    """What pruning did: the manifest it left, the numbers of the versions removed, bytes freed on disk."""

    manifest: Manifest
    removed: list[int]
    freed: int


def roll_back(folder: Path, number: int) -> Manifest:
    """Make an earlier (or later) published version the one that readers see; an unfinished update is given up.

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
    """Remove published versions but the newest ones and the current one, with all files that only they need.

    Published versions are tagged, and what has a tag is never removed; nor is a file that no version has committed yet
    (Lance removes such files when they are a week old). Readers of a version that is kept go on undisturbed; readers of
    one that is removed meet an error. Killed or out of disk at any point, it leaves a readable index; run again, it
    frees what was left over.

    Args:
        folder: of the index.
        keep: how many of the newest versions stay, at least 1; a current version that is older stays besides.

    Raises:
        InputError: keep under 1, no index, another process is writing, or an update was not finished.
        IsoglotError: files cannot be written or removed.
        MissingPackageError: pylance is not installed.
    """
    if keep < 1:
        raise InputError(f"prune {keep}: expected at least 1, how many of the newest versions to keep")
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
                tag(store, version)  # an older isoglot published without tags
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
    """Put what was published last on top again: Lance keeps the version on top, tagged or not."""
    tops = {(version.passages_at, version.folded_at) for version in kept}
    if store.passages.version not in {passages for passages, _ in tops}:
        store.restore(last.passages_at, store.folded.version)
    if store.folded.version not in {folded for _, folded in tops}:
        store.restore(store.passages.version, last.folded_at)


def _clean(uri: str) -> None:
    """Remove every version of a table that has no tag, but the one on top, with the files that only they need."""
    try:
        import lance
    except ImportError as error:
        raise MissingPackageError("pruning takes pylance: pip install 'isoglot[search]'") from error
    # By number and tag, not by age: clocks differ. Files that are not committed are of a writer who may still do so.
    lance.dataset(uri).cleanup_old_versions(
        retain_versions=1, delete_unverified=False, error_if_tagged_old_versions=False
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
