"""Documents on their way into the store: what is new is split, encoded and committed, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator

from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.documents.document import Document
from isoglot.documents.splitting import Spans, shorten, split
from isoglot.encoders.debias import Debias
from isoglot.encoders.embedder import Model
from isoglot.languages.detection import detect
from isoglot.search.index.encoder_check import passage_encoder, room, token_spans
from isoglot.search.index.manifest import Manifest
from isoglot.search.index.protocol import Passage, passage_id
from isoglot.search.index.store import Folded, Store, content, digest_of, dump, from_file, same_document

CHUNK = 1024  # passages encoded and committed at a time


class Intake:
    """Documents on their way into the store, a chunk at a time."""

    def __init__(
        self,
        store: Store,
        model: Model,
        manifest: Manifest,
        debias: Debias | None,
        precision: str,
    ) -> None:
        self._store, self._debias = store, debias
        self._encoder = passage_encoder(model, manifest.length, precision)
        self._spans: Spans = token_spans(model)
        self._room = room(model, manifest.length)
        self._seen: set[str] = set()
        self._passages: list[Passage] = []
        self._hashes: list[str] = []
        self._stale: list[str] = []
        self._folded: list[Folded] = []
        self._new: dict[str, str] = {}
        self.documents = self.passages = self.replaced = self.unchanged = self.folded = 0
        self.taken_over = 0
        self.first_taken_over = ""

    def take(self, document: Document, problems: Problems) -> None:
        """Put one document into the chunk, unless it is stored already or says what another one says."""
        if document.id in self._seen:
            problems.add(document.file, document.line, f"the id {document.id!r} was there before; the first one counts")
            return
        self._seen.add(document.id)
        lang = document.lang or detect(f"{document.title}\n{document.text}")
        digest = digest_of(document)
        stored = self._store.hash_of.get(document.id)
        if stored is not None and same_document(stored, digest):
            self.unchanged += 1
            return
        if stored is not None:
            self._take_over(document, stored)
            self._stale.append(document.id)
            self.replaced += 1
        self.documents += 1
        said = content(digest)
        first = self._store.first_with.get(said)
        if first in self._stale:
            first = None
        first = first or self._new.get(said)
        if first is not None:
            metadata = dump(document.metadata)
            self._folded.append(Folded(document.id, first, document.source, metadata, digest))
            self.folded += 1
            return
        self._new[said] = document.id
        made = list(_passages(document, lang, self._spans, self._room))
        self._passages += made
        self._hashes += [digest] * len(made)
        self.passages += len(made)
        if len(self._passages) >= CHUNK or len(self._stale) + len(self._folded) >= CHUNK:
            self.flush()

    def held_by_another(self, document: Document, *, by_id: bool = False) -> str:
        """What the index holds under a document's id that another file said; empty where it may be replaced.

        Args:
            document: of the input.
            by_id: whether a record may replace another file's record.
        """
        stored = self._store.hash_of.get(document.id)
        if stored is None or from_file(stored, document.file) or same_document(stored, digest_of(document)):
            return ""
        if from_file(stored, document.id):
            return "a file in the index"
        return "" if by_id and document.line is not None else "another text in the index, of another file"

    def _take_over(self, document: Document, stored: str) -> None:
        """Let a document replace one of its id; a file is no record, and a record no file."""
        if from_file(stored, document.file):
            return
        if document.line is None or from_file(stored, document.id):
            raise InputError(
                f"{document.source}: its id {document.id!r} is that of another file's document in the index; "
                "give the record another id"
            )
        self.first_taken_over = self.first_taken_over or document.id
        self.taken_over += 1

    def flush(self) -> None:
        """Encode the chunk and commit it: first what it replaces goes, then it comes, then its duplicates."""
        store = self._store
        if self._stale:
            store.delete(self._stale)
        if self._passages:
            texts = [f"{passage.title} {passage.text}".strip() for passage in self._passages]
            vectors = self._encoder(texts, "passage")
            if self._debias is not None:
                vectors = self._debias.apply(vectors, [passage.lang for passage in self._passages], "passage")
            store.put(self._passages, self._hashes, vectors)
        if self._folded:
            store.fold(self._folded)
        for said, document in self._new.items():
            store.first_with[said] = document
        store.hash_of |= {
            passage.document: digest for passage, digest in zip(self._passages, self._hashes, strict=True)
        }
        for entry in self._folded:
            store.hash_of[entry.document] = entry.hash
        self._passages, self._hashes, self._stale, self._folded, self._new = [], [], [], [], {}


def _passages(document: Document, lang: str, spans: Spans, tokens: int) -> Iterator[Passage]:
    """The pieces of a document, each with its (shortened) title."""
    title = shorten(document.title, spans=spans, tokens=tokens) if document.title else ""
    left = tokens - (len(spans([title])[0]) if title else 0)
    parts = split(document.text, lang, spans=spans, tokens=left)
    for number, part in enumerate(parts, 1):
        key = passage_id(document.id, number, len(parts))
        yield Passage(key, document.id, part, lang, title, document.source, document.metadata)
