"""Compare the input with the index before a build stores anything, and decide what to do with each document."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source
from isoglot.documents.finding import find_sources
from isoglot.documents.inputs import GivenDocuments
from isoglot.documents.reading import read_documents
from isoglot.documents.roots import Root
from isoglot.documents.shared_ids import refuse_shared_ids
from isoglot.search.index.build_arguments import Changes
from isoglot.search.index.columns import LONGEST_NAME, MOST
from isoglot.search.index.deletion import resolve_ids
from isoglot.search.index.file_states import read_states
from isoglot.search.index.intake import Intake, read_through
from isoglot.search.index.manifest import Manifest
from isoglot.search.index.resume import is_published, open_store
from isoglot.search.index.shards import Fresh
from isoglot.search.index.store import Store
from isoglot.search.index.syncing import Sync, plan_sync


@dataclass(frozen=True)
class Begun:
    """A build that has passed all checks and has stored nothing yet.

    Attributes:
        store, roots: of the index as it is (see `open_store`).
        sources: files to read.
        intake: sorts the documents into new, changed and duplicate ones.
        plan: the changes of a sync; None if the build is not a sync.
        doomed: ids to delete.
        unknown: ids to delete that are not in the index.
        cut_short: names of files that were not read completely.
    """

    store: Store
    roots: list[Root]
    sources: list[Source]
    intake: Intake
    plan: Sync | None
    doomed: Collection[str]
    unknown: list[str]
    cut_short: set[str] = field(default_factory=set)


def begin(folder: Path, manifest: Manifest, inputs: Sequence[Path], problems: Problems, changes: Changes) -> Begun:
    """Compare the index with the inputs.

    Raises:
        InputError: the changes cannot be made.
    """
    store, roots = open_store(folder, manifest, inputs, changes.moved_from)
    known_ids, unknown = resolve_ids(changes.delete_lists, store.hash_of, exactly=changes.delete)
    doomed: Collection[str] = dict.fromkeys(known_ids)
    plan = None
    if changes.sync:
        # After a killed build the tables differ from the version whose files were recorded, so check all files again.
        known = read_states(folder, manifest.current) if is_published(store, manifest) else {}
        plan = plan_sync(inputs, store, known, roots, problems, changes.most_deleted)
        doomed = plan.doomed
    sources = plan.sources if plan else find_sources(inputs, problems, roots) if inputs else []
    intake = Intake(store, plan.loose if plan else ())

    def held(document: Document) -> str:
        return "" if document.id in doomed else intake.held_by_another(document, by_id=changes.by_id)

    refuse_shared_ids(sources, folder, held if store.hash_of else None)
    return Begun(store, roots, sources, intake, plan, doomed, unknown)


def fresh_documents(begun: Begun, given: GivenDocuments, folder: Path, problems: Problems) -> Iterator[Fresh]:
    """Return the documents to encode; delete those that they replace first."""
    found = given.records(problems) if given.records else read_documents(begun.sources, problems, begun.cut_short)
    changed: Iterable[Fresh] = begun.intake.changed(found, problems)
    if begun.store.hash_of:
        changed = read_through(changed, folder)
        begun.store.delete(begun.intake.stale)
    return begun.intake.new(changed)


def warn_of_surprises(begun: Begun, folder: Path, problems: Problems) -> None:
    """Warn of what may surprise the user."""
    intake, plan, no_room_for = begun.intake, begun.plan, begun.store.no_room_for
    if plan and plan.kept:
        problems.warn(folder, None, f"{plan.kept} documents were kept because their files could not be read")
    if intake.taken_over:
        problems.warn(
            folder,
            None,
            f"{intake.taken_over} documents of other inputs had the same ids and were replaced, such as "
            f"{intake.first_taken_over!r}; the previous version still has them",
        )
    if no_room_for:
        names = sorted(no_room_for)
        more = ", ..." if len(names) > 10 else ""
        problems.warn(
            folder,
            None,
            f"{len(names)} fields of metadata are shown but cannot be used in filters: an index has {MOST} columns for "
            f"them, and names of {LONGEST_NAME} characters ({', '.join(name[:40] for name in names[:10])}{more})",
        )
