"""Write to an index: add, replace and delete documents; each is one Lance commit, so a killed build loses nothing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.files import json_line, unwritable
from isoglot.core.large_dict import LargeDict
from isoglot.core.large_list import LargeList
from isoglot.documents.document import Document
from isoglot.encoders.embedder import Vectors
from isoglot.search.index.columns import room_for
from isoglot.search.index.folded import Folded, Heirs
from isoglot.search.index.lance_tables import FOLDED, PASSAGES, connect, is_table, reason
from isoglot.search.index.manifest import FILE
from isoglot.search.index.passages_table import FOLDED_SCHEMA, quoted, schema
from isoglot.search.index.rows import rows_of
from isoglot.search.index.stored_vectors import to_column, to_matrix
from isoglot.search.passage import Passage

LOCK = ".lock"
_CONTENT = 24  # characters of a document's hash that cover its text, title and language
_FILE_END = 32  # end of the characters that cover its file's name; the rest covers its metadata
_BATCH = 8192  # rows in memory
_NAMED = 10_000  # documents in a condition, each of which reads all ids of the table


class Store:
    """The two tables of an index folder, open for writing: passages, and the documents folded into them.

    The id and hash of every document are kept in memory up to a limit, and beyond that on disk.

    Args:
        folder: of the index.
        dimension: of the vectors.
        numbers: number format of the vectors, for new tables.
        tokens: whether new tables also store the vectors of passages' tokens.
    """

    def __init__(self, folder: Path, dimension: int, numbers: str = "float32", *, tokens: bool = False) -> None:
        self._dimension = dimension
        with writing(folder):
            database = connect(folder)
            self.passages, self.folded = (
                # An existing passages table may have more columns than its first schema.
                database.open_table(name) if is_table(folder, name) else database.create_table(name, schema=columns)
                for name, columns in ((PASSAGES, schema(dimension, numbers, tokens=tokens)), (FOLDED, FOLDED_SCHEMA))
            )
        self.folder = folder
        self.hash_of = LargeDict(folder)
        self.first_with = LargeDict(folder)
        self.no_room_for: set[str] = set()
        """Fields of metadata that filters cannot look at: an index has so many columns only."""

    def restore(self, passages_at: int, folded_at: int) -> None:
        """Go back to earlier versions of the tables; this adds versions, so nothing is lost."""
        with writing(self.folder):
            for table, version in ((self.passages, passages_at), (self.folded, folded_at)):
                if table.version != version:
                    table.checkout(version)
                    table.restore()

    def read_state(self) -> None:
        """Read which documents are stored."""
        self.hash_of, self.first_with = LargeDict(self.folder), LargeDict(self.folder)
        for batch in _scan(self.passages, ["document", "hash"]):
            for document, digest in zip(batch["document"].to_pylist(), batch["hash"].to_pylist(), strict=True):
                self.hash_of[document] = digest
                self.first_with[content(digest)] = document
        leftover = []
        for batch in _scan(self.folded, FOLDED_SCHEMA.names):
            for record in batch.to_pylist():
                alias = Folded(**record)
                # A run killed between promoting a duplicate and removing its `folded` row leaves it in both tables.
                if alias.document in self.hash_of or alias.same_as not in self.hash_of:
                    leftover.append(alias.document)
                else:
                    self.hash_of[alias.document] = alias.hash
        self._delete(self.folded, leftover)

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield each document with the name of the file it came from; once per passage."""
        for table in (self.passages, self.folded):
            for batch in _scan(table, ["document", "source", "hash"]):
                columns = (batch[name].to_pylist() for name in ("document", "source", "hash"))
                for document, source, digest in zip(*columns, strict=True):
                    file = source or ""
                    yield document, file if from_file(digest, file) else file.rpartition(":")[0]

    def put(self, passages: Sequence[Passage], hashes: Sequence[str], vectors: Vectors) -> None:
        """Add passages with hashes and vectors (n, d) in one commit."""
        rows = rows_of(passages, hashes, vectors, self._dimension)
        self.add([rows.schema], iter(rows.to_batches()))

    def add(self, schemas: Iterable[pa.Schema], batches: Iterator[pa.RecordBatch]) -> None:
        """Add rows in one commit; also add the metadata columns that the table lacks, up to the limit.

        Args:
            schemas: of all the batches, in order.
            batches: rows made by `rows_of`; read as they are written, and their vectors converted to the table's number
                format.
        """
        with writing(self.folder):
            there = self.passages.schema
            columns: list[Any] = []
            for schema_ in schemas:
                wanted, over = room_for(schema_.names, there)
                self.no_room_for.update(over)
                columns += wanted
                there = pa.unify_schemas([there, wanted])
            if columns:
                self.passages.add_columns(pa.schema(columns))
            there = self.passages.schema
            conformed = (_conform(batch, there) for batch in batches if len(batch))
            self.passages.add(pa.RecordBatchReader.from_batches(there, conformed))

    def fold(self, found: Iterable[Folded]) -> None:
        """Record documents that are duplicates of others, in one commit."""
        batches = (
            pa.RecordBatch.from_pylist([vars(entry) for entry in some], schema=FOLDED_SCHEMA)
            for some in _batched(found, _BATCH)
        )
        with writing(self.folder):
            self.folded.add(pa.RecordBatchReader.from_batches(FOLDED_SCHEMA, batches))

    def delete(self, documents: Iterable[str]) -> int:
        """Delete documents by id; one folded into a deleted one takes its place. Return how many were in the index."""
        gone = LargeDict(self.folder)
        for document in documents:
            if document in self.hash_of:
                gone[document] = ""
        if not gone:
            return 0
        waiting, heirs, stored = self._waiting(gone), dict[str, list[Folded]](), LargeList[str](self.folder)
        for document in gone:
            said = content(self.hash_of.pop(document))
            if self.first_with.get(said) != document:
                continue
            stored.append(document)
            if document in waiting:
                heirs[document] = waiting[document]
                self.first_with[said] = waiting[document][0].document
            else:
                del self.first_with[said]
        if heirs:
            self._promote(heirs)
        self._delete(self.passages, stored)
        self._delete(self.folded, gone)
        return len(gone)

    def counts(self) -> tuple[dict[str, int], int, int]:
        """Return passages per language, the number of documents with their own passages, and that of folded ones."""
        languages: Counter[str] = Counter()
        for batch in _scan(self.passages, ["lang"]):
            languages.update(batch["lang"].to_pylist())
        return dict(sorted(languages.items())), len(self.first_with), int(self.folded.count_rows())

    def _waiting(self, gone: Container[str]) -> dict[str, list[Folded]]:
        """Return the remaining duplicates of documents in `gone`, by the document they are folded into, in order."""
        found: dict[str, list[Folded]] = {}
        for batch in _scan(self.folded, FOLDED_SCHEMA.names):
            for record in batch.to_pylist():
                if record["same_as"] in gone and record["document"] not in gone:
                    found.setdefault(record["same_as"], []).append(Folded(**record))
        return found

    def _promote(self, heirs: Mapping[str, Sequence[Folded]]) -> None:
        """Store the passages of documents again, as those of the first of each one's duplicates."""
        first = {document: duplicates[0] for document, duplicates in heirs.items()}
        for some in _batched(first, _NAMED):
            taking = Heirs({document: first[document] for document in some})
            with writing(self.folder):
                rows = self.passages.search().where(_among(some)).to_batches(_BATCH)
            self.add([taking.schema()], taking.rows(rows))
        self._delete(self.folded, (duplicate.document for some in heirs.values() for duplicate in some))
        others = (replace(one, same_as=some[0].document) for some in heirs.values() for one in some[1:])
        self.fold(others)

    def _delete(self, table: Any, documents: Iterable[str]) -> None:
        with writing(self.folder):
            for some in _batched(documents, _NAMED):
                table.delete(_among(some))


def digest_of(document: Document) -> str:
    """Return the hash of a document: of text, title and language (24 characters), file name (8) and metadata (8)."""
    said = f"{document.lang or ''}\0{document.title}\0{document.text}"
    about = hashlib.blake2b(dump(document.metadata).encode(errors="replace"), digest_size=4).hexdigest()
    return hashlib.blake2b(said.encode(), digest_size=_CONTENT // 2).hexdigest() + file_tag(document.file) + about


def content(digest: str) -> str:
    """Return the part of a document's hash that covers its text, title and language."""
    return digest[:_CONTENT]


def same_document(stored: str, digest: str) -> bool:
    """Return whether nothing but perhaps the file changed; hashes in older indexes do not cover metadata."""
    about = stored[_FILE_END:]
    return content(stored) == content(digest) and about in ("", digest[_FILE_END:])


def from_file(digest: str, file: str) -> bool:
    """Return whether a document with this hash came from that file."""
    return digest[_CONTENT:_FILE_END] == file_tag(file)


@lru_cache
def file_tag(file: str) -> str:
    """Return a short hash of a file's name."""
    return hashlib.blake2b(file.encode(errors="replace"), digest_size=4).hexdigest()


def stored(folder: Path) -> int:
    """Return the number of passages stored in a folder, published or not; 0 if there are no tables."""
    return int(connect(folder).open_table(PASSAGES).count_rows()) if is_table(folder, PASSAGES) else 0


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Lock an index folder against other writers.

    Raises:
        InputError: another process is writing, or the folder cannot be written or locked.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{folder}: another process is writing this index; wait for it (if none is, as after a crash on a file "
            f"system without locks, delete {folder / LOCK})"
        ) from error
    except OSError as error:  # read-only, or a file system without locks
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn errors of a full disk or lost files into one clear message."""
    try:
        yield
    except (RuntimeError, OSError, pa.ArrowException) as error:
        full = any(words in str(error) for words in ("No space left", "File too large", "quota exceeded"))
        remedy = "make room and " if full else ""
        if not full and "Unable to rename file" in str(error):
            remedy = "its tables need hard links, which this file system may not have: choose another place, or "
        if (folder / FILE).is_file():
            kept, again = "the published version is unchanged", "`resume` (or `update`)"
            old = "; removing old versions also makes room: discard what this run stored (`roll_back`), then `prune` 1"
        else:
            kept, again, old = "nothing is published yet, and what is stored so far is kept", "`resume`", ""
        raise IsoglotError(
            f"{folder}: the index cannot be written ({'the disk is full' if full else reason(error)}); {kept}; "
            f"{remedy}run the same again with {again}{old if full else ''}"
        ) from error


def dump(metadata: Any) -> str:
    """Return metadata as JSON."""
    return json_line(dict(metadata)) if metadata else "{}"


def _conform(batch: pa.RecordBatch, there: pa.Schema) -> pa.RecordBatch:
    """Return a batch with a table's columns, null where the batch has none, and vectors in its number format."""
    names = set(batch.schema.names)
    arrays = [batch[field.name] if field.name in names else pa.nulls(len(batch), field.type) for field in there]
    place = there.get_field_index("vector")
    if arrays[place].type != there.field(place).type:
        arrays[place] = to_column(to_matrix(batch), there.field(place).type)
    return pa.RecordBatch.from_arrays(arrays, schema=there)


def _batched(values: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    rest = iter(values)
    while some := tuple(islice(rest, size)):
        yield some


def _among(documents: Iterable[str]) -> str:
    """Return the SQL condition that a row is of one of these documents."""
    return f"document IN ({', '.join(map(quoted, documents))})"


def _scan(table: Any, columns: list[str]) -> Iterator[Any]:
    return iter(table.search().select(columns).to_batches(_BATCH))
