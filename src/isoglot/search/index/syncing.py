"""Plan a sync of an index with folders: which files to read again, and which documents to delete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.files import shown
from isoglot.core.large_dict import LargeDict
from isoglot.core.problems import Problems
from isoglot.documents.document import Source
from isoglot.documents.finding import find_sources
from isoglot.documents.inputs import MEMORY
from isoglot.documents.kinds import holds_records
from isoglot.documents.reading import read_documents
from isoglot.documents.roots import Root, path_of, to_roots
from isoglot.search.index.file_states import FileState, compared, is_as_it_was, is_readable, read_states, touched_since
from isoglot.search.index.manifest import BUILDING, FILE, read_manifest
from isoglot.search.index.store import Store

MOST_DELETED = 0.5


@dataclass(frozen=True)
class Sync:
    """The planned changes.

    Attributes:
        sources: files to read.
        files: state of all files after the sync, by name, those of other inputs included.
        loose: documents whose file is gone or is read again; another file may bring them.
        doomed: those of them that no file contains any more.
        kept: number of documents that stay because their file could not be read.
        unread: number of documents in unchanged files.
    """

    sources: list[Source]
    files: dict[str, FileState]
    loose: Container[str]
    doomed: Collection[str]
    kept: int
    unread: int

    def states(self, partial: set[str]) -> dict[str, FileState]:
        """Return the file states to record after the sync; `partial` are names of files that were not read whole."""
        partial = partial | touched_since(self.sources, self.files)
        return {name: state._replace(whole=False) if name in partial else state for name, state in self.files.items()}


def check_sync(inputs: Sequence[Path], folder: Path, most_deleted: float, *, alone: bool) -> None:
    """Check that an index can be synced with these inputs.

    Args:
        inputs: files and folders.
        folder: of the index.
        most_deleted: a share, 0 to 1.
        alone: whether no other argument says what to replace and delete.

    Raises:
        InputError: documents in memory, an index inside its own input, or another invalid setting.
    """
    if not inputs:
        raise InputError("sync: updates an index to match files and folders; name some")
    if not alone:
        raise InputError("sync: decides what to replace and delete; leave out `by_id`, `delete` and `delete_from`")
    if not 0 <= most_deleted <= 1:
        raise InputError(f"most_deleted {most_deleted:g}: expected a share from 0 to 1")
    for given in inputs:
        if given.is_dir() and folder.resolve().is_relative_to(given.resolve()):
            within = folder.resolve().relative_to(given.resolve())
            if not any(part.startswith(".") for part in within.parts):
                raise InputError(
                    f"{folder}: lies within {shown(given)}, so that the index would be among its own documents; put it "
                    "elsewhere, or give it a name with a dot before it"
                )


def plan_sync(
    inputs: Sequence[Path],
    store: Store,
    known: Mapping[str, FileState],
    roots: Sequence[Root],
    problems: Problems,
    most_deleted: float = MOST_DELETED,
) -> Sync:
    """Find out what changed, before anything is stored.

    Args:
        inputs: files and folders.
        store: of the index.
        known: state of the files when they were last read.
        roots: of the index.
        problems: collects what cannot be read.
        most_deleted: largest share of the documents from these inputs that may be deleted.

    Raises:
        InputError: an input is missing, or more documents would be deleted.
    """
    unlisted: list[Path] = []
    sources = find_sources(inputs, problems, roots, unlisted=unlisted, may_be_empty=most_deleted >= 1)
    files, changed = compared(sources, known)
    ids, partial = _ids(changed, store.folder)
    again = {source.name for source in changed}
    ours, hidden = below(inputs, roots), below(unlisted, roots)
    own, loose, doomed = (LargeDict(store.folder) for _ in range(3))
    gone = 0
    for document, file in store.files():
        if file == MEMORY or document in own or not ours(file):
            continue
        own[document] = ""
        if file in files and file not in again:
            continue
        loose[document] = ""
        if document in ids:
            continue
        gone += 1
        # Documents in a folder that cannot be listed, or in a file that cannot be read, may still exist.
        if not (file in partial or (file not in files and unlisted and hidden(file))):
            doomed[document] = ""
    if len(doomed) > most_deleted * len(own):
        raise InputError(
            f"{', '.join(map(shown, inputs))}: {len(doomed)} of the {len(own)} documents that the index has from there "
            f"are not there any more, and `most_deleted` is {most_deleted:g}; nothing was changed. See whether the "
            "folder is mounted and complete; give `most_deleted` 1 to delete them"
        )
    files = {name: state for name, state in known.items() if not ours(name)} | files
    return Sync(changed, files, loose, doomed, gone - len(doomed), len(own) - len(loose))


def nothing_new(inputs: Sequence[Path], folder: Path) -> bool:
    """Return whether files look unchanged since the last sync, by names, sizes and times; their content is not read."""
    if not (folder / FILE).is_file() or (folder / BUILDING).is_file():
        return False
    manifest = read_manifest(folder)
    roots = to_roots(manifest.roots)
    ours = below(inputs, roots)
    known = {name: state for name, state in read_states(folder, manifest.current).items() if ours(name)}
    try:
        sources = find_sources(inputs, None, roots)
        return known.keys() == {source.name for source in sources} and all(
            is_as_it_was(state := known[source.name], source.path.stat())
            and (state.digest or not is_readable(source.path))
            for source in sources
        )
    except (InputError, OSError):
        return False  # the sync will report why


def below(places: Sequence[Path], roots: Sequence[Root]) -> Callable[[str], bool]:
    """Return a function that tells whether a file, by its name in an index with these roots, is in one of `places`."""
    resolved = [shown(place.resolve()) for place in places]

    @cache
    def lies(file: str) -> bool:
        path = path_of(file, roots)
        return path is not None and any(path.is_relative_to(place) for place in resolved)

    return lies


def _ids(sources: Sequence[Source], scratch: Path) -> tuple[LargeDict, set[str]]:
    """Return the ids of all documents in files, as keys, and the names of files that cannot be read completely."""
    seen = LargeDict(scratch)
    seen.update((source.name, "") for source in sources if not holds_records(source.path))
    partial: set[str] = set()
    records = [source for source in sources if holds_records(source.path)]
    seen.update((document.id, "") for document in read_documents(records, Problems(), partial))
    return seen, partial
