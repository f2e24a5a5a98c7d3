"""From documents to a published index: a plan, its shards, one commit; killed, it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from isoglot.core.arguments import check_kind
from isoglot.core.brief import brief
from isoglot.core.errors import InputError
from isoglot.core.executors import Executor, Here
from isoglot.core.files import shown
from isoglot.core.problems import Problems
from isoglot.documents.given import MEMORY
from isoglot.encoders.debias import load_debias
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Model
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search.index import approximate, stored_vectors
from isoglot.search.index.beginning import begin, fresh_documents, warn_of_surprises
from isoglot.search.index.build_arguments import checked_arguments
from isoglot.search.index.encoder_check import index_name
from isoglot.search.index.encoding import Encoding
from isoglot.search.index.file_states import write_states
from isoglot.search.index.intake import Intake
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.manifest import BUILDING, Manifest, Version, read_manifest
from isoglot.search.index.publishing import publish
from isoglot.search.index.rate import Rate
from isoglot.search.index.replacing import built_in, finish_swap
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
from isoglot.search.index.store import Store, one_writer
from isoglot.search.index.stored_vectors import COMPARED, Numbers
from isoglot.search.index.syncing import MOST_DELETED


@dataclass(frozen=True)
class Built:
    """What a build did.

    Attributes:
        version: the one published (or the one there before, where nothing changed).
        added, replaced, deleted, unchanged, folded: documents.
        unknown: ids to delete that are not there.
        problems: what could not be read.
        seconds: wall time.
        changed: whether a version was published.
        shards: that the documents added and replaced were encoded in.
        numbers: that the index keeps its vectors in.
        kept: shards of these that an earlier run, which did not come to its end, had finished.
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
    delete: Sequence[str] = (),
    delete_lists: Sequence[str] = (),
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

    The documents that are new are cut into shards, which are encoded one by one or, by an executor, wherever there are
    workers; the same documents give the same ids and vectors either way. When all are finished they are stored in one
    commit, and readers see nothing of it before the last step writes the manifest. A build that was killed reads its
    input again, with `resume`, and encodes no shard that is finished.

    Args:
        documents: files and folders; or documents in memory: dicts with `text` and, as far as there are, `id`, `title`,
            `lang` and metadata, in any iterable, a frame of pandas or polars, an Arrow table, a data set.
        folder: of the index; made where it is missing.
        model: what `isoglot.load` takes, a Sentence Transformer, or any other embedder; without a tokenizer here,
            passages are measured in pieces of four letters.
        name: what opens it again; what it was loaded as when None. A function is not opened by name: it is given to
            `Searcher.open` again.
        debias: a correction for passages and queries.
        length: tokens of a passage, title and prompt included; those of `options`, or the backbone's, when None.
        update: add to, replace in and delete from a published index; documents in memory then need ids.
        by_id: in an update, records of files replace those of their ids whatever file they came from, as documents in
            memory do; otherwise records with other files' ids are refused before anything is changed.
        delete: ids of documents to delete (with `update`), each as it is.
        delete_lists: ids, or ids between commas where no document is called so, as they are typed.
        sync: make the index hold what files and folders hold: documents whose files left, or that these do not hold
            any more, are deleted. Files are told apart by name, and read where their bytes changed. A new index is made
            where there is none.
        most_deleted: with `sync`, the largest share of the documents from these inputs that may be deleted at once;
            more is refused, as by a folder that is not mounted, and nothing is changed.
        moved_from: where the first input was when it was indexed; its documents keep their ids.
        overwrite: replace the index that the folder holds, and all else in it. The new one is built beside it and takes
            its place when it is done; until then the old one is searched. Folders that hold no index are refused.
        resume: go on with a build that was interrupted, with the same documents and settings. Updates need no leave.
        precision: as for `encode`; that of `options` when `auto`.
        options: how a model given by name is opened, or one given open was; a new index records it, and its readers
            open the model so again. Where an update leaves something out, the index's own options say it.
        numbers: that a new index keeps its vectors in: float32 (when None), float16, or int8, which takes a byte and is
            searched exactly only. What they lose is measured and kept in the manifest. An update keeps to the index's.
        in_context: passages of a new index are read within their documents as well (see
            `isoglot.encoders.in_context`), or within what a document in memory has as `context`; the model has to be
            opened here, and to pool by the mean. An update keeps to the index's way.
        tokens: a new index keeps the vectors of its passages' tokens, a byte a number, which late interaction
            (`rerank="late"`) then reads instead of encoding passages. An update keeps to the index's way.
        ann_from: passages from which an ANN index is built.
        executor: where shards are encoded; in this process when None.
        opener: opens the model where the executor's workers are; the model itself goes there when None.
        price: of a worker's hour, for what is said about the cost.

    Raises:
        InputError: nothing to read, too much to delete, another encoder than the index's, an index that is there
            already, or an unfinished build with other settings.
        IsoglotError: the disk is full.

    Example:
        With `folder` as a `pathlib.Path`, and counts of letters as an encoder:

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
    debias, moved_from, given, update = checked_arguments(
        documents,
        folder,
        debias=debias,
        moved_from=moved_from,
        options=options,
        update=update,
        by_id=by_id,
        delete=delete,
        delete_lists=delete_lists,
        overwrite=overwrite,
        resume=resume,
        sync=sync,
        most_deleted=most_deleted,
    )
    inputs, options = given.files, options or ModelOptions()
    length = options.length if length is None else length
    precision = options.precision if precision == "auto" else precision
    if isinstance(model, (str, Path)):
        name = name or str(model)
        opening = replace(options, length=length, precision=precision)
        model = open_embedder(model, opening.filled(read_manifest(folder).options) if update else opening)
    name = name or index_name(model)
    problems = Problems(each=5)
    place = built_in(folder, overwrite=overwrite, resume=resume and not update)
    with place as folder, one_writer(folder), nothing_left_of_nothing(folder):
        manifest = go_on_from(
            folder,
            model,
            name,
            debias,
            length,
            update=update,
            precision=precision,
            options=options.record(),
            numbers=numbers,
            in_context=in_context,
            tokens=tokens,
        )
        opened = opener if executor is not None and opener is not None else partial(_itself, model)
        recipe = _recipe(folder, manifest, opened, name, precision, probed=executor is not None)
        with nothing_begun(folder):
            begun = begin(
                folder,
                manifest,
                inputs,
                problems,
                by_id=by_id,
                delete=delete,
                delete_lists=delete_lists,
                moved_from=moved_from,
                most_deleted=most_deleted if sync else None,
            )
        store, intake, plan, ledger = begun.store, begun.intake, begun.plan, Ledger(folder)
        # Documents whose files left go only when others were stored: what has another name now keeps its vectors.
        deleted = 0 if plan else store.delete(begun.doomed)
        cut_short: set[str] = set()
        fresh = fresh_documents(begun, given, folder, problems, cut_short)
        where = executor or Here()
        encoding = Encoding(ledger, Rate(sum(source.size for source in begun.sources), where.workers, price))
        encoding.run(cut(fresh, [deciding(folder, manifest), precision]), where, recipe)
        _commit(store, ledger, encoding.plan, intake)
        recall = _recall(manifest, ledger, encoding.plan)
        if plan:
            deleted = store.delete(id for id in begun.doomed if id not in intake.seen)
            intake.unchanged += plan.unread
        warn_of_surprises(begun, folder, problems)
        if not encoding.plan and not store.hash_of and not update:
            problems.raise_if_any("There is no document left to index.")
            raise InputError(f"{', '.join(map(shown, inputs)) or MEMORY}: no document to index")
        changed = bool(intake.documents or deleted or intake.folded) or not is_published(store, manifest)
        if changed:
            manifest = replace(manifest, roots=tuple(begun.roots))
            how: dict[str, Any] = {"ann_from": ann_from, "recall": recall, "executor": where, "ledger": ledger}
            manifest = publish(folder, store, manifest, **how)
        (folder / BUILDING).unlink(missing_ok=True)
        ledger.forget()
        if plan:
            write_states(folder, manifest.current, plan.states(cut_short | intake.foreign))
    return Built(
        manifest.version,
        intake.documents - len(intake.stale),
        len(intake.stale),
        deleted,
        intake.unchanged,
        len(intake.folded),
        tuple(begun.unknown),
        problems,
        time.perf_counter() - started,
        changed,
        len(encoding.plan),
        encoding.kept,
        manifest.numbers,
    )


def _recipe(
    folder: Path, manifest: Manifest, opened: Callable[[], Model], name: str, precision: Precision, *, probed: bool
) -> Recipe:
    """How rows are made; `probed` where another process opens the model, which may not be the index's."""
    return Recipe(
        opened,
        name,
        manifest.length,
        manifest.dimension,
        precision,
        load_debias(folder / DEBIAS) if manifest.debias else None,
        manifest.probe if probed else None,
        manifest.in_context,
        bool(manifest.tokens),
    )


def _itself(model: Model) -> Model:
    return model


def _recall(manifest: Manifest, ledger: Ledger, plan: Sequence[Planned]) -> dict[str, Any] | None:
    """What the index's numbers lose, among what is new; the figure before where that was of more passages."""
    before = manifest.version.recall if manifest.versions else None
    if manifest.numbers == "float32":
        return None
    rows = sum(ledger.passages(shard.address) or 0 for shard in plan)
    if not rows or (before is not None and min(rows, COMPARED) < before["passages"]):
        return before
    batches = (batch for shard in plan for batch in ledger.batches(shard.address))
    return stored_vectors.recall(batches, rows, manifest.dimension, manifest.numbers)


def _commit(store: Store, ledger: Ledger, plan: Sequence[Planned], intake: Intake) -> None:
    """Store the rows of all shards, in the plan's order, and what was folded."""

    def batches() -> Iterator[pa.RecordBatch]:
        for shard in plan:
            yield from ledger.batches(shard.address)

    if plan:
        store.add((ledger.schema(shard.address) for shard in plan), batches())
    if intake.folded:
        store.fold(intake.folded)
