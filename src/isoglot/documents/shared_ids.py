"""Find records of different files with the same id before anything is indexed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from isoglot.core.large_dict import LargeDict
from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source
from isoglot.documents.kinds import holds_records
from isoglot.documents.reading import read_documents


def refuse_shared_ids(sources: Sequence[Source], scratch: Path, held: Callable[[Document], str] | None = None) -> None:
    """Check that no document has the id of a different document from another file, among these files or in the index.

    This reads files of records an additional time, unless there is only one file and no index to compare with.

    Args:
        sources: the files.
        scratch: folder for temporary data on each document, if there are many.
        held: describes what the index has from another file under the id of a document, "" if nothing; None if there
            is no index to compare with.

    Raises:
        InputError: ids are shared; the message names the places.
    """
    records = [source for source in sources if holds_records(source.path)]
    if held is None and (not records or len(sources) == 1):
        return
    shared = Problems()
    files = LargeDict(scratch)  # id -> hash of the first document with that id, and its file
    for source in sources:
        if not holds_records(source.path):
            files[source.name] = f"0 {source.name}"
            there = held(Document(source.name, "", file=source.name)) if held is not None else ""
            if there:
                shared.add(source.path, None, f"its id {source.name!r} is that of {there}")
    for document in read_documents(records, Problems()):
        if document.id == document.source:
            continue  # it has no id of its own
        said = str(hash((document.lang, document.title, document.text)))
        other, _, file = files.setdefault(document.id, f"{said} {document.file}").partition(" ")
        there = held(document) if held is not None else ""
        if file != document.file and other != said:
            shared.add(document.file, document.line, f"the id {document.id!r} is that of another text in {file}")
        elif there:
            shared.add(document.file, document.line, f"the id {document.id!r} is that of {there}")
    by_id = "" if held is None else "; to replace records of other files, give `by_id`"
    shared.raise_if_any(
        f"Ids must be unique in an index; change them, leave them out, or make an index of each file{by_id}."
    )
