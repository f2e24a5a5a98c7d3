"""Sort the input into documents that are new, changed, unchanged, or duplicates of others."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.large_dict import LargeDict
from isoglot.core.large_list import LargeList
from isoglot.core.problems import Problems
from isoglot.documents.document import Document
from isoglot.search.index.folded import Folded
from isoglot.search.index.shards import Fresh
from isoglot.search.index.store import Store, content, digest_of, dump, from_file, same_document


class Intake:
    """Documents on their way into the store: `changed` and then `new` decide what is done with each.

    Args:
        store: the index's tables.
        loose: ids that any file may take over, since their own file is gone or is read again.

    Attributes:
        seen: ids of all input documents, as keys.
        foreign: names of files with a document that the index has from another file.
        stale: ids of stored documents that are replaced, as keys.
        folded: documents that are duplicates of others.
        documents, unchanged, taken_over: numbers of documents; `documents` counts new and replaced ones.
        first_taken_over: id of the first document that replaced one from another file.
    """

    def __init__(self, store: Store, loose: Container[str] = ()) -> None:
        self._store, self._loose = store, loose
        self.seen = LargeDict(store.folder)
        self.foreign: set[str] = set()
        self.stale = LargeDict(store.folder)
        self.folded: LargeList[Folded] = LargeList(store.folder)
        self.documents = self.unchanged = self.taken_over = 0
        self.first_taken_over = ""

    def changed(self, documents: Iterable[Document], problems: Problems) -> Iterator[Fresh]:
        """Yield the documents that are not stored unchanged; note in `stale` which stored ones they replace."""
        for document in documents:
            if document.id in self.seen:
                self.foreign.add(document.file)
                problems.add(
                    document.file, document.line, f"the id {document.id!r} was there before; the first one is kept"
                )
                continue
            self.seen[document.id] = ""
            digest = digest_of(document)
            stored = self._store.hash_of.get(document.id)
            other = stored is not None and not from_file(stored, document.file)
            moved = other and document.id in self._loose
            if stored is not None and same_document(stored, digest) and not moved:
                self.unchanged += 1
                if other:
                    self.foreign.add(document.file)
                continue
            if stored is not None:
                if not moved:
                    self._take_over(document, stored)
                self.stale[document.id] = ""
            self.documents += 1
            # Blocks are not needed any more, and would be sent along with the document.
            yield Fresh(replace(document, blocks=()) if document.blocks else document, digest)

    def new(self, changed: Iterable[Fresh]) -> Iterator[Fresh]:
        """Yield documents with new content; note others in `folded`. Delete the stale ones from the store first."""
        first_with = self._store.first_with
        for document, digest in changed:
            said = content(digest)
            first = first_with.get(said)
            if first is None:
                first_with[said] = document.id
                yield Fresh(document, digest)
            else:
                self.folded.append(Folded(document.id, first, document.source, dump(document.metadata), digest))

    def held_by_another(self, document: Document, *, by_id: bool = False) -> str:
        """Describe what another file put into the index under a document's id; empty if it may be replaced.

        Args:
            document: of the input.
            by_id: whether a record may replace another file's record.
        """
        stored = self._store.hash_of.get(document.id)
        if stored is None or document.id in self._loose or from_file(stored, document.file):
            return ""
        if same_document(stored, digest_of(document)):
            return ""
        if from_file(stored, document.id):
            return "a file in the index"
        return "" if by_id and document.line is not None else "another text in the index, of another file"

    def _take_over(self, document: Document, stored: str) -> None:
        """Count a document that replaces one from elsewhere; a file and a record cannot replace each other."""
        if from_file(stored, document.file):
            return
        if document.line is None or from_file(stored, document.id):
            raise InputError(
                f"{document.source}: its id {document.id!r} is that of another file's document in the index; "
                "give the record another id"
            )
        self.first_taken_over = self.first_taken_over or document.id
        self.taken_over += 1


def read_through(changed: Iterable[Fresh], folder: Path) -> LargeList[Fresh]:
    """Read all documents into a list.

    An update must know all documents that it replaces before it can tell which ones are duplicates of stored ones.

    Args:
        changed: documents.
        folder: in which the list is stored on disk if it is long.

    Raises:
        IsoglotError: the disk is full.
    """
    kept: LargeList[Fresh] = LargeList(folder)
    for entry in changed:
        kept.append(entry)
    return kept
