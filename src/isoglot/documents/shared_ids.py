"""Records of several files that claim one id: told before anything is read into an index."""

from __future__ import annotations

from collections.abc import Sequence

from isoglot.core.problems import Problems
from isoglot.documents.document import Source
from isoglot.documents.kinds import holds_records
from isoglot.documents.reading import read_documents


def refuse_shared_ids(sources: Sequence[Source]) -> None:
    """Refuse files whose records have ids of another file's records, or of a file, but say something else.

    Files of records are read once more for this, where there are several files.

    Raises:
        InputError: naming the places.
    """
    records = [source for source in sources if holds_records(source.path)]
    if not records or len(sources) == 1:
        return
    shared = Problems()
    files: dict[str, tuple[str, int]] = {source.name: (source.name, 0) for source in sources if source not in records}
    for document in read_documents(records, Problems()):
        if document.id == document.source:
            continue  # it has none of its own
        said = hash((document.lang, document.title, document.text))
        file, other = files.setdefault(document.id, (document.file, said))
        if file != document.file and other != said:
            shared.add(document.file, document.line, f"the id {document.id!r} is that of another text in {file}")
    shared.raise_if_any("Ids must be unique in an index; change them, leave them out, or make an index of each file.")
