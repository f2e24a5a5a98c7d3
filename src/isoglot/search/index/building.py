"""Build an index from documents: plan shards, encode them, publish in one commit; an interrupted build resumes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.core.executors import Executor, Here
from isoglot.core.files import shown
from isoglot.core.problems import Problems
from isoglot.core.short_repr import brief
from isoglot.documents.inputs import MEMORY
from isoglot.encoders.debias import load_debias
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Model
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search.index import approximate, stored_vectors
from isoglot.search.index.beginning import Begun, begin, fresh_documents, warn_of_surprises
from isoglot.search.index.build_arguments import (
    Changes,
    IndexSettings,
    as_path,
    checked_arguments,
    ids_given,
    index_settings,
)
from isoglot.search.index.build_progress import Rate
from isoglot.search.index.encoder_check import index_name
from isoglot.search.index.encoding import Encoding
from isoglot.search.index.file_states import write_states
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.manifest import BUILDING, Manifest, Version, read_manifest
from isoglot.search.index.publishing import publish
from isoglot.search.index.replacing import built_in, finish_swap, refuse_what_is_there
from isoglot.search.index.resume import (
    DEBIAS,
    deciding,
    go_on_from,
    is_published,
    nothing_begun,
    nothing_left_of_nothing,
)
from isoglot.search.index.rows import Recipe
from isoglot.search.index.shards import Planned, cut
from isoglot.search.index.store import one_writer
from isoglot.search.index.stored_vectors import COMPARED, Numbers
from isoglot.search.index.syncing import MOST_DELETED


@dataclass(frozen=True)
class Built:
    """Summary of a build.

    Attributes:
        version: the published version (the earlier one if nothing changed).
        added, replaced, deleted, unchanged, folded: numbers of documents; `folded` ones are duplicates of others.
        unknown: ids to delete that are not in the index.
        problems: what could not be read.
        seconds: wall time.
        changed: whether a version was published.
        shards: number of shards that the added and replaced documents were encoded in.
        kept: number of those shards that an interrupted earlier run had finished.
        numbers: number format of the stored vectors.
    """

    version: Version
    added: int
    replaced: int
    deleted: int
    unchanged: int
    folded: int
    unknown: tuple[str, ...]
    problems: Problems
    seconds: float
    changed: bool
    shards: int = 0
    kept: int = 0
    numbers: str = "float32"

    __repr__ = brief


def build_index(
    documents: Any,
    folder: Path | str,
    model: Model | str | Path,
    *,
    name: str | None = None,
    debias: Path | str | None = None,
    length: int | None = None,
    update: bool = False,
    by_id: bool = False,
    delete: Iterable[str | int] = (),
    delete_lists: Iterable[str] = (),
    moved_from: Path | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    sync: bool = False,
    most_deleted: float = MOST_DELETED,
    precision: Precision = "auto",
    options: ModelOptions | None = None,
    numbers: Numbers | None = None,
    in_context: bool = False,
    tokens: bool = False,
    ann_from: int = approximate.PAYS_FROM,
    executor: Executor | None = None,
    opener: Callable[[], Model] | None = None,
    price: float = 0.0,
) -> Built:
    """Index documents, or bring an index up to date.

    New documents are divided into shards, which are encoded one by one, or in parallel by the workers of an executor;
    the ids and vectors are the same in both cases. When all shards are finished, they are stored in one commit; readers
    see the new version when the manifest is written at the end. `resume` continues a build that was interrupted: the
    input is read again, but finished shards are not encoded again.

    Args:
        documents: files and folders; or documents in memory: dicts with `text` and optionally `id`, `title`, `lang`
            and metadata, in any iterable, a frame of pandas or polars, an Arrow table, or a `datasets.Dataset`.
        folder: folder of the index; created if it does not exist.
        model: what `isoglot.load` takes, a Sentence Transformer, or any other embedder. If it has no local tokenizer,
            passage lengths are estimated, a token being up to four letters.
        name: name or folder under which searches open the model; what it was loaded from when None. A function has to
            be given to `Searcher.open` again.
        debias: a bias correction for passages and queries.
        length: tokens per passage, including title and prompt; that of `options`, or the model's, when None.
        update: add to, replace in and delete from a published index; documents in memory then need ids.
        by_id: in an update, records in files replace documents with the same ids whatever file those came from, as
            documents in memory do; otherwise an id that belongs to another file is an error, and nothing is changed.
        delete: ids of documents to delete (with `update`), each taken literally; a whole number as the text of it.
        delete_lists: ids to delete as typed by a user: an entry that is no document's id is split at commas.
        sync: make the index match the given files and folders: documents that these no longer contain are deleted.
            Files are identified by name, and read only if their content changed. If there is no index, one is made.
        most_deleted: with `sync`, the largest share of the documents from these inputs that may be deleted at once;
            if more would be, nothing is changed (the folder may not be mounted).
        moved_from: where the first input was when it was indexed; its documents keep their ids.
        overwrite: replace the index in the folder, and everything else in it. The new index is built beside it and
            replaces it when finished; until then the old one can be searched. Only folders with an index are replaced.
        resume: continue an interrupted build, with the same documents and settings. Updates resume without it.
        precision: as for `encode`; that of `options` when `auto`.
        options: how to open a model given by name, or how an open model was opened. A new index records them, and
            searches open the model accordingly. In an update, options left out are taken from the index.
        numbers: number format of a new index's vectors: float32 (when None), float16, or int8, which takes a byte and
            is searched exactly only. The loss of recall is measured and kept in the manifest. Updates keep the format.
        in_context: a new index's passages are also encoded in the context of their documents (see
            `isoglot.encoders.in_context`), or in the field `context` of documents in memory; takes a local model with
            mean pooling. Updates do as the index does.
        tokens: a new index also stores the vectors of its passages' tokens, a byte per number, which late interaction
            (`rerank="late"`) then reads instead of encoding passages. Updates do as the index does.
        ann_from: number of passages from which an ANN index is built.
        executor: where shards are encoded; in this process when None.
        opener: opens the model in the executor's workers; when None, the model itself is sent to them.
        price: of a worker's hour, for the cost in progress lines.

    Raises:
        InputError: nothing to read, too much to delete, another encoder than the index's, an index exists already, or
            an unfinished build has other settings.
        IsoglotError: the disk is full.

    Example:
        With `folder` as a `pathlib.Path`, and letter counts as an encoder:

        >>> from isoglot import build_index
        >>> def embed(texts, role):
        ...     return [[text.count("e"), text.count("a"), 1] for text in texts]
        >>> notes = [{"id": "de", "text": "Der Mond zieht das Meer an."}, {"id": "es", "text": "La luna atrae el mar."}]
        >>> built = build_index(notes, folder / "notes", embed)
        >>> built.added, built.version.languages
        (2, {'de': 1, 'es': 1})
    """
    started = time.perf_counter()
    check_kind("folder", folder, (str, Path), "the folder of the index, as text or a path")
    folder = Path(folder)
    finish_swap(folder)
    settings = index_settings(
        debias,
        options,
        length=length,
        precision=precision,
        numbers=numbers,
        in_context=in_context,
        tokens=tokens,
    )
    changes = Changes(
        update=update,
        by_id=by_id,
        delete=ids_given(delete),
        delete_lists=ids_given(delete_lists),
        moved_from=as_path("moved_from", moved_from, "where the input was, as text or a path"),
        sync=sync,
        most_deleted=most_deleted,
    )
    given, changes = checked_arguments(documents, folder, changes, overwrite=overwrite, resume=resume)
    if isinstance(model, (str, Path)):
        name = name or str(model)
        model = _opened(str(model), settings, folder if changes.update else None)
    name = name or index_name(model)
    problems = Problems(each=5)
    place = built_in(folder, overwrite=overwrite, resume=resume and not changes.update)
    with place as folder, one_writer(folder), nothing_left_of_nothing(folder):
        if not (changes.update or changes.sync or overwrite or resume):
            # Again: another process may have built there since, and what is read here would be added to its index.
            refuse_what_is_there(folder, overwrite=False, resume=False)
        manifest = go_on_from(folder, model, name, settings, update=changes.update)
        with nothing_begun(folder):
            begun = begin(folder, manifest, given.files, problems, changes)
        ledger, where = Ledger(folder), executor or Here()
        recipe = _recipe(folder, manifest, name, model, settings.precision, executor, opener)
        deleted = _delete_first(begun)
        encoding = Encoding(ledger, Rate(sum(source.size for source in begun.sources), where.workers, price))
        shards = cut(fresh_documents(begun, given, folder, problems), [deciding(folder, manifest), settings.precision])
        encoding.run(shards, where, recipe)
        _store(begun, ledger, encoding.plan)
        deleted += _delete_last(begun)
        warn_of_surprises(begun, folder, problems)
        if not changes.update:
            _refuse_nothing(begun, encoding.plan, given.files, problems)
        intake = begun.intake
        changed = bool(intake.documents or deleted or intake.folded) or not is_published(begun.store, manifest)
        if changed:
            manifest = publish(
                folder,
                begun.store,
                replace(manifest, roots=tuple(begun.roots)),
                ann_from=ann_from,
                recall=_recall(manifest, ledger, encoding.plan),
                executor=where,
                ledger=ledger,
            )
        _finish(folder, begun, ledger, manifest.current)
    return Built(
        version=manifest.version,
        added=intake.documents - len(intake.stale),
        replaced=len(intake.stale),
        deleted=deleted,
        unchanged=intake.unchanged,
        folded=len(intake.folded),
        unknown=tuple(begun.unknown),
        problems=problems,
        seconds=time.perf_counter() - started,
        changed=changed,
        shards=len(encoding.plan),
        kept=encoding.kept,
        numbers=manifest.numbers,
    )


def _opened(model: str, settings: IndexSettings, there: Path | None) -> Model:
    """Open a model by name; options that are not given are those of the existing index, if there is one."""
    options = replace(settings.options, length=settings.length, precision=settings.precision)
    return open_embedder(model, options if there is None else options.filled(read_manifest(there).options))


def _recipe(
    folder: Path,
    manifest: Manifest,
    name: str,
    model: Model,
    precision: Precision,
    executor: Executor | None,
    opener: Callable[[], Model] | None,
) -> Recipe:
    """Return how rows are made; a model opened in another process must reproduce the index's probe vectors."""
    elsewhere = executor is not None
    return Recipe(
        model=opener if elsewhere and opener is not None else partial(_itself, model),
        name=name,
        length=manifest.length,
        dimension=manifest.dimension,
        precision=precision,
        debias=load_debias(folder / DEBIAS) if manifest.debias else None,
        probe=manifest.probe if elsewhere else None,
        in_context=manifest.in_context,
        tokens=bool(manifest.tokens),
        beginnings=manifest.beginnings,
        signs=manifest.signs,
    )


def _itself(model: Model) -> Model:
    return model


def _recall(manifest: Manifest, ledger: Ledger, plan: Sequence[Planned]) -> dict[str, Any] | None:
    """Return the recall of the index's number format on the new vectors; the earlier figure if it is of more."""
    before = manifest.version.recall if manifest.versions else None
    if manifest.numbers == "float32":
        return None
    rows = sum(ledger.passages(shard.address) or 0 for shard in plan)
    if not rows or (before is not None and min(rows, COMPARED) < before["passages"]):
        return before
    batches = (batch for shard in plan for batch in ledger.batches(shard.address))
    return stored_vectors.recall(batches, rows, manifest.dimension, manifest.numbers)


def _delete_first(begun: Begun) -> int:
    """Delete the documents named by the caller; return how many existed."""
    # A sync deletes last: a document in a renamed file is first folded into its old self, and so keeps its vectors.
    return 0 if begun.plan else begun.store.delete(begun.doomed)


def _store(begun: Begun, ledger: Ledger, plan: Sequence[Planned]) -> None:
    """Store the rows of all shards, in the plan's order, and the folded documents."""

    def batches() -> Iterator[pa.RecordBatch]:
        for shard in plan:
            yield from ledger.batches(shard.address)

    if plan:
        begun.store.add((ledger.schema(shard.address) for shard in plan), batches())
    if begun.intake.folded:
        begun.store.fold(begun.intake.folded)


def _delete_last(begun: Begun) -> int:
    """In a sync, delete the documents that no file contains any more; return how many existed."""
    if begun.plan is None:
        return 0
    begun.intake.unchanged += begun.plan.unread
    return begun.store.delete(id for id in begun.doomed if id not in begun.intake.seen)


def _refuse_nothing(begun: Begun, plan: Sequence[Planned], inputs: Sequence[Path], problems: Problems) -> None:
    """Raise InputError if the index would be empty."""
    if not plan and not begun.store.hash_of:
        problems.raise_if_any("There is no document left to index.")
        raise InputError(f"{', '.join(map(shown, inputs)) or MEMORY}: no document to index")


def _finish(folder: Path, begun: Begun, ledger: Ledger, version: int) -> None:
    """Remove the build's temporary files, and, in a sync, record the state of the input files."""
    (folder / BUILDING).unlink(missing_ok=True)
    ledger.forget()
    if begun.plan:
        write_states(folder, version, begun.plan.states(begun.cut_short | begun.intake.foreign))
