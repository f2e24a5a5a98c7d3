"""From files to a published index: read, split, encode, store; killed, it goes on where it was."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isoglot.data.problems import Problems
from isoglot.debias import Debias, load_debias
from isoglot.encode import encode
from isoglot.errors import InputError
from isoglot.files import atomic_write, read_json, sha256, write_json
from isoglot.index import ann
from isoglot.index.detect import detect
from isoglot.index.documents import Document, find_sources, read_documents
from isoglot.index.encoder import passage_length, probe, refuse_other, room, token_spans
from isoglot.index.lance import SAMPLES, index_columns, settle
from isoglot.index.manifest import FILE, Manifest, Version, read_manifest
from isoglot.index.memory import SAMPLED
from isoglot.index.protocol import Passage
from isoglot.index.split import Spans, shorten, split
from isoglot.index.store import Folded, Store, dump, writing
from isoglot.progress import progress_line

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUILDING = "building.json"
DEBIAS = "debias.npz"
_CHUNK = 1024  # passages encoded and committed at a time
_EVERY = 2.0  # seconds between lines of progress


@dataclass(frozen=True)
class Built:
    """What a build did.

    Attributes:
        version: the one published (or the one there before, where nothing changed).
        added, replaced, deleted, unchanged, folded: documents.
        problems: what could not be read.
        seconds: wall time.
        changed: whether a version was published.
    """

    version: Version
    added: int
    replaced: int
    deleted: int
    unchanged: int
    folded: int
    problems: Problems
    seconds: float
    changed: bool


def build(
    inputs: Sequence[Path],
    folder: Path,
    model: SentenceTransformer,
    *,
    name: str,
    debias: Path | None = None,
    length: int | None = None,
    update: bool = False,
    delete: Sequence[str] = (),
    precision: str = "auto",
    ann_from: int = ann.PAYS_FROM,
) -> Built:
    """Index documents, or bring an index up to date.

    Each chunk is one commit, and readers see none of them before the last step writes the manifest. A build that
    was killed goes on: documents that are stored already are passed over.

    Args:
        inputs: files and folders.
        folder: of the index (made by the caller).
        model: the encoder.
        name: what opens it again.
        debias: a correction for passages and queries.
        length: tokens of a passage, title and prompt included; the backbone's when None.
        update: add to, replace in and delete from a published index.
        delete: ids of documents to delete (with `update`).
        precision: as for `encode`.
        ann_from: passages from which an ANN index is built.

    Raises:
        InputError: nothing to read, another encoder than the index's, or an unfinished build with other settings.
        IsoglotError: the disk is full.
    """
    from filelock import FileLock, Timeout

    started = time.perf_counter()
    problems = Problems()
    sources = find_sources(list(inputs)) if inputs or not update else []
    total = sum(source.size for source in sources)
    try:
        with FileLock(folder / ".lock", timeout=0):
            manifest = _manifest(folder, model, name, debias, length, update=update, precision=precision)
            correction = load_debias(folder / DEBIAS) if manifest.debias else None
            store = _open(folder, manifest, [str(path) for path in inputs])
            work = _Work(store, model, manifest, correction, precision, folder)
            deleted = store.delete(delete)
            progress = _Rate(total)
            for document in read_documents(sources, problems):
                work.take(document, problems)
                progress.show(document.done, work.documents, work.passages)
            work.flush()
            changed = bool(work.documents or deleted or work.folded or not manifest.versions)
            if not store.hash_of and not update:
                problems.raise_if_any("There is no document left to index.")
                raise InputError(f"{', '.join(map(str, inputs))}: no document to index")
            if changed or not _is_published(store, manifest):
                changed = True
                manifest = publish(folder, store, manifest, ann_from=ann_from)
            (folder / BUILDING).unlink(missing_ok=True)
    except Timeout as error:
        raise InputError(f"{folder}: another process is writing this index; wait for it") from error
    return Built(
        manifest.version,
        work.documents - work.replaced,
        work.replaced,
        deleted,
        work.unchanged,
        work.folded,
        problems,
        time.perf_counter() - started,
        changed,
    )


def publish(folder: Path, store: Store, manifest: Manifest, *, ann_from: int) -> Manifest:
    """Index words and vectors, draw the samples, and make the new version the one that readers see."""
    table = store.passages
    languages, documents, folded = store.counts()
    passages = sum(languages.values())
    number = max((version.number for version in manifest.versions), default=0) + 1
    found: dict[str, Any] | None = None
    with writing(folder):
        indexed = {column for index in table.list_indices() for column in index.columns}
        if passages and "text" not in indexed:
            index_columns(table)
        if passages >= ann_from and "vector" not in indexed:
            progress_line(f"building the ANN index over {passages} passages")
            ann.build(table)
        settle(table, keep=bool(manifest.versions))
        if passages >= ann_from:
            found = ann.tune(table, passages)
            progress_line(
                f"ANN: recall@10 {found['recall']:.3f} against exact search, {found['probes']} of "
                f"{found['partitions']} partitions probed, {found['milliseconds']:.1f} ms a search"
            )
        _write_samples(folder / SAMPLES / f"{number}.npz", table)
    version = Version(
        number=number,
        passages_at=table.version,
        folded_at=store.folded.version,
        documents=documents,
        passages=passages,
        folded=folded,
        languages=languages,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        ann=found,
    )
    published = replace(manifest, current=number, versions=[*manifest.versions, version])
    published.write(folder)
    return published


def roll_back(folder: Path, number: int) -> Manifest:
    """Make an earlier (or later) published version the one that readers see.

    Raises:
        InputError: no index, or no such version.
    """
    manifest = read_manifest(folder).at(number)
    manifest.write(folder)
    return manifest


def _manifest(
    folder: Path,
    model: SentenceTransformer,
    name: str,
    debias: Path | None,
    length: int | None,
    *,
    update: bool,
    precision: str,
) -> Manifest:
    """The index's manifest to go on from; a new one (without versions) where the index is new."""
    vectors = probe(model, precision)
    if update or (folder / FILE).is_file():
        manifest = read_manifest(folder)
        refuse_other(vectors, manifest.probe, name, manifest.model)
        if length is not None and passage_length(model, length) != manifest.length:
            raise InputError(f"--length {length}: the index has passages of {manifest.length} tokens; leave it out")
        if debias is not None and not (manifest.debias and sha256(debias) == sha256(folder / DEBIAS)):
            raise InputError(f"--debias {debias}: not the correction that the index was made with; index again")
        return manifest
    if debias is not None:
        fitted = load_debias(debias)
        if fitted.dimension != vectors.shape[1]:
            raise InputError(
                f"--debias {debias}: fitted on {fitted.dimension} dimensions, {name} gives {vectors.shape[1]}; "
                "fit it with this model"
            )
        with atomic_write(folder / DEBIAS) as temporary:
            shutil.copyfile(debias, temporary)
    return Manifest(
        model=name,
        dimension=int(vectors.shape[1]),
        length=passage_length(model, length),
        probe=vectors.round(6).tolist(),
        debias=debias is not None,
    )


def _open(folder: Path, manifest: Manifest, inputs: list[str]) -> Store:
    """Open the tables at the published version, or where a killed build left them."""
    settings = {
        "model": manifest.model,
        "length": manifest.length,
        "debias": sha256(folder / DEBIAS) if manifest.debias else None,
        "from": manifest.current,
    }
    state = folder / BUILDING
    store = Store(folder, manifest.dimension)
    if state.is_file() and read_json(state)["settings"] != settings:
        if not manifest.versions:
            raise InputError(
                f"{folder}: begun with other settings; give those of the first run with --resume, or --overwrite"
            )
        state.unlink()
    if not state.is_file() and manifest.versions:
        store.restore(manifest.version.passages_at, manifest.version.folded_at)
    if not state.is_file():
        write_json(state, {"settings": settings, "inputs": inputs})
    store.read_state()
    return store


def _is_published(store: Store, manifest: Manifest) -> bool:
    """Whether the tables hold nothing that the current version lacks (a killed build may have left more)."""
    version = manifest.version
    return (store.passages.version, store.folded.version) == (version.passages_at, version.folded_at)


class _Work:
    """Documents on their way into the store, a chunk at a time."""

    def __init__(
        self,
        store: Store,
        model: SentenceTransformer,
        manifest: Manifest,
        debias: Debias | None,
        precision: str,
        folder: Path,
    ) -> None:
        self._store, self._model, self._debias, self._precision = store, model, debias, precision
        self._length, self._folder = manifest.length, folder
        self._spans: Spans = token_spans(model)
        self._room = room(model, manifest.length)
        self._seen: set[str] = set()
        self._passages: list[Passage] = []
        self._hashes: list[str] = []
        self._stale: list[str] = []
        self._folded: list[Folded] = []
        self._new: dict[str, str] = {}
        self.documents = self.passages = self.replaced = self.unchanged = self.folded = 0

    def take(self, document: Document, problems: Problems) -> None:
        """Put one document into the chunk, unless it is stored already or says what another one says."""
        if document.id in self._seen:
            problems.add(document.source, None, f"the id {document.id!r} was there before; the first one counts")
            return
        self._seen.add(document.id)
        lang = document.lang or detect(f"{document.title}\n{document.text}")
        text = f"{document.lang or ''}\0{document.title}\0{document.text}"
        digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        stored = self._store.hash_of.get(document.id)
        if stored == digest:
            self.unchanged += 1
            return
        if stored is not None:
            self._stale.append(document.id)
            self.replaced += 1
        self.documents += 1
        first = self._store.first_with.get(digest)
        if first in self._stale:
            first = None
        first = first or self._new.get(digest)
        if first is not None:
            metadata = dump(document.metadata)
            self._folded.append(Folded(document.id, first, document.source, metadata, digest))
            self.folded += 1
            return
        self._new[digest] = document.id
        made = list(_passages(document, lang, self._spans, self._room))
        self._passages += made
        self._hashes += [digest] * len(made)
        self.passages += len(made)
        if len(self._passages) >= _CHUNK or len(self._stale) + len(self._folded) >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        """Encode the chunk and commit it: first what it replaces goes, then it comes, then its duplicates."""
        store = self._store
        if self._stale:
            store.delete(self._stale)
        if self._passages:
            texts = [f"{passage.title} {passage.text}".strip() for passage in self._passages]
            encoded = encode(self._model, texts, "document", length=self._length, precision=self._precision)
            vectors = encoded.vectors
            if self._debias is not None:
                vectors = self._debias.apply(vectors, [passage.lang for passage in self._passages], "document")
            store.put(self._passages, self._hashes, vectors)
        if self._folded:
            store.fold(self._folded)
        for digest, document in self._new.items():
            store.hash_of[document] = digest
            store.first_with[digest] = document
        for entry in self._folded:
            store.hash_of[entry.document] = entry.hash
        self._passages, self._hashes, self._stale, self._folded, self._new = [], [], [], [], {}


def _passages(document: Document, lang: str, spans: Spans, tokens: int) -> Iterator[Passage]:
    """The pieces of a document, each with its (shortened) title."""
    title = shorten(document.title, spans=spans, tokens=tokens) if document.title else ""
    left = tokens - (len(spans([title])[0]) if title else 0)
    parts = split(document.text, lang, spans=spans, tokens=left)
    for number, part in enumerate(parts, 1):
        key = document.id if len(parts) == 1 else f"{document.id}#{number}"
        yield Passage(key, document.id, part, lang, title, document.source, document.metadata)


def _write_samples(path: Path, table: Any) -> None:
    """Keep the vectors of up to 256 random passages of each language."""
    langs = np.array(
        [lang for batch in table.search().select(["lang"]).to_batches() for lang in batch["lang"].to_pylist()],
        dtype=str,
    )
    rng = np.random.default_rng(0)
    samples = {}
    for lang in np.unique(langs):
        rows = np.flatnonzero(langs == lang)
        if len(rows) > SAMPLED:
            rows = np.sort(rng.choice(rows, SAMPLED, replace=False))
        samples[str(lang)] = ann.to_matrix(table.take_offsets(rows.tolist()).select(["vector"]).to_arrow())
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **samples)


class _Rate:
    """A line now and then about how far the build is, where stderr is a terminal."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total)
        self._started = self._said = time.perf_counter()

    def show(self, done: int, documents: int, passages: int) -> None:
        """Say it, if the last time is two seconds ago."""
        now = time.perf_counter()
        if now - self._said < _EVERY or not sys.stderr.isatty():
            return
        self._said = now
        spent, share = now - self._started, done / self._total
        left = f", {spent / share - spent:.0f} s left" if share > 0.01 else ""
        progress_line(
            f"{documents} documents, {passages} passages, {passages / spent:.0f} passages/s, {share:.0%}{left}"
        )
