"""`isoglot index` with documents: open the encoder, build or update the index, and report the result."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from isoglot.cli.benchmarks import open_source, source_settings
from isoglot.cli.encoders import device_of, open_encoder
from isoglot.cli.index_report import print_built, print_problems, problems_in_words
from isoglot.cli.index_request import IndexRequest
from isoglot.cli.syncing import keep_watching
from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.core.on_ray import OnRay
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus
    from isoglot.search.index.building import Built
    from isoglot.search.index.versions import Pruned


def build(asked: IndexRequest) -> None:
    """Build an index in a folder or update it, once or for as long as its folders are watched.

    Raises:
        InputError: there is nothing to index, the folder holds something else, or the encoder is not the index's.
        IsoglotError: the disk is full, or remote workers fail.
    """
    from isoglot.search.index.replacing import finish_swap

    executor = asked.elsewhere.executor(asked.devices)
    finish_swap(asked.output_dir)
    name, opening = _encoder(asked)
    data = _benchmark(asked)

    from isoglot.search.index.deletion import read_ids
    from isoglot.search.index.lance_tables import require_lancedb

    listed = read_ids(asked.delete_from) if asked.delete_from else []
    claim = _claimed(asked)
    require_lancedb()  # before a model is opened
    with claim as folder:
        encoder = open_encoder(name, opening, asked.devices)
        how = _how(asked, name, opening, executor)
        record = partial(_record, asked, folder, name, listed, data, encoder)
        if asked.keeping.watch:
            _watch(asked, folder, encoder, record, how)
            return
        built = _once(asked, folder, encoder, listed, data, how)
    record(built)
    _tell(asked, folder, built)


def _encoder(asked: IndexRequest) -> tuple[str, ModelOptions]:
    """Return the model to open and its options; checks the inputs of a new index before anything is replaced."""
    from isoglot.core.output_folders import refuse_own_input
    from isoglot.documents.finding import refuse_nothing
    from isoglot.encoders.debias import load_debias
    from isoglot.encoders.endpoint import refuse_unknown
    from isoglot.search.index.manifest import read_manifest
    from isoglot.search.index.replacing import refuse_what_is_there

    kept = asked.keeping
    if asked.update:
        there = read_manifest(asked.output_dir)
        if asked.model is None:
            refuse_unknown(there.model)
        return asked.model or there.model, replace(asked.options.filled(there.options), length=there.length)
    if asked.inputs:
        refuse_nothing(asked.inputs, may_be_empty=kept.on and kept.share >= 1)
    if asked.debias is not None:
        load_debias(asked.debias)
    refuse_what_is_there(asked.output_dir, overwrite=asked.overwrite, resume=asked.resume)
    if asked.overwrite:
        refuse_own_input(asked.output_dir, asked.inputs)
    return asked.model or "embedded", asked.options


def _benchmark(asked: IndexRequest) -> Benchmark | StreamedCorpus | None:
    if not asked.source.benchmark:
        return None
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        return open_source(asked.source, Path(scratch))


def _claimed(asked: IndexRequest) -> AbstractContextManager[Path]:
    """Claim the folder; a new one is removed again if the build fails."""
    from isoglot.core.output_folders import claimed_folder

    if asked.update or asked.overwrite:  # then `build_index` protects the folder itself
        return nullcontext(asked.output_dir)
    return claimed_folder(asked.output_dir, resume=asked.resume)


def _how(asked: IndexRequest, name: str, opening: ModelOptions, executor: OnRay | None) -> dict[str, Any]:
    """Return the arguments of `build_index` that are the same in every round."""
    from isoglot.encoders.model_names import absolute_name
    from isoglot.encoders.opening import open_on

    return {
        "name": absolute_name(name),
        "debias": asked.debias,
        "options": asked.options,
        "numbers": asked.numbers,
        "in_context": asked.in_context,
        "tokens": asked.tokens,
        "ann_from": asked.ann_from,
        "most_deleted": asked.keeping.share,
        "executor": executor,
        "opener": partial(open_on, absolute_name(name), opening, opening.device),
        "price": asked.elsewhere.price_per_hour,
    }


def _once(
    asked: IndexRequest,
    folder: Path,
    encoder: Any,
    listed: Sequence[str],
    data: Benchmark | StreamedCorpus | None,
    how: dict[str, Any],
) -> Built:
    """Build once; if interrupted, print how to continue."""
    from isoglot.core.progress import progress_line
    from isoglot.search.evaluating import passage_documents
    from isoglot.search.index.building import build_index

    kept = asked.keeping
    try:
        return build_index(
            asked.inputs if data is None else passage_documents(data, in_context=asked.in_context),
            folder,
            encoder,
            sync=kept.on,
            update=asked.update,
            by_id=asked.by_id,
            delete=listed,
            delete_lists=asked.delete,
            moved_from=asked.moved_from,
            overwrite=asked.overwrite,
            resume=asked.resume,
            **how,
        )
    except KeyboardInterrupt:
        again = "--sync" if kept.on else "--update" if asked.update else "--resume"
        progress_line(f"{folder}: what was stored is kept; run the same command with {again} to continue")
        raise


def _watch(asked: IndexRequest, folder: Path, encoder: Any, record: Any, how: dict[str, Any]) -> None:
    """Rebuild whenever files change, and report each round."""
    from isoglot.core.progress import progress_line
    from isoglot.search.index.versions import prune

    def one_round(done: Built, said: str | None) -> str:
        record(done)
        problems = problems_in_words(done.problems)
        if problems and problems != said:
            print(problems, file=sys.stderr, flush=True)
        if done.changed or said is None:
            print_built(done, folder, removed(said is None), as_json=asked.as_json)
        return problems

    def removed(first: bool) -> Pruned | None:
        if asked.prune is None:
            return None
        try:
            return prune(folder, asked.prune)
        except IsoglotError as error:  # such as another process writing, for example `isoglot push`
            if first:
                raise
            progress_line(f"{error}\nold versions stay until the next change")
            return None

    keep_watching(asked.inputs, folder, encoder, one_round, **how)


def _record(
    asked: IndexRequest,
    folder: Path,
    name: str,
    listed: Sequence[str],
    data: Benchmark | StreamedCorpus | None,
    encoder: Any,
    done: Built,
) -> None:
    """Write the run's record into the folder."""
    from isoglot.core.files import shown
    from isoglot.core.run_record import write_run

    write_run(
        folder,
        "index",
        {
            "model": name,
            "inputs": [shown(path) for path in asked.inputs],
            "length": asked.options.length,
            "update": asked.update,
            "sync": asked.keeping.on,
            "benchmark": source_settings(asked.source) if asked.source.benchmark else None,
            "debias": str(asked.debias) if asked.debias else None,
            "delete": [*asked.delete, *listed],
            "precision": asked.options.precision,
            "numbers": asked.numbers,
            "in_context": asked.in_context,
            "tokens": asked.tokens,
        },
        data={} if data is None else {"benchmark": data.checksum},
        seed=None,
        device=device_of(encoder),
        seconds=done.seconds,
        version=done.version.number,
    )


def _tell(asked: IndexRequest, folder: Path, built: Built) -> None:
    """Print what was done and what could not be done."""
    from isoglot.search.index.versions import prune

    print_problems(built.problems)
    if built.unknown:
        names = ", ".join(map(repr, built.unknown[:20])) + (", ..." if len(built.unknown) > 20 else "")
        refusal = f"not deleted, since there are no such documents: {len(built.unknown)} ({names})"
        if not asked.inputs and not built.changed:
            raise InputError(f"{refusal}; nothing was done")
        print(f"isoglot: {refusal}", file=sys.stderr)
    removal = None if asked.prune is None else prune(folder, asked.prune)
    print_built(built, folder, removal, as_json=asked.as_json)
