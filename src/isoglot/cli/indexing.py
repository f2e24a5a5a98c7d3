"""`isoglot index`: from files to an index, and its versions."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from isoglot.cli.benchmarks import IndexedBenchmark, open_source, source_settings
from isoglot.cli.elsewhere import Elsewhere
from isoglot.cli.encoders import device_of, open_encoder
from isoglot.cli.index_report import print_built, print_problems, print_versions, problems_in_words
from isoglot.cli.keeping_up import KeepingUp, keep_watching
from isoglot.cli.options import OutputDir, Switch
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.search.index.building import Built

Ids = Annotated[tuple[str, ...], Parameter(negative="")]


def index(
    *inputs: Path,
    output_dir: OutputDir,
    source: Annotated[IndexedBenchmark | None, Parameter(name="*")] = None,
    model: str | None = None,
    debias: Path | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*")] = None,
    devices: str | None = None,
    elsewhere: Annotated[Elsewhere | None, Parameter(name="*")] = None,
    keeping: Annotated[KeepingUp | None, Parameter(name="*")] = None,
    update: Switch = False,
    by_id: Switch = False,
    delete: Ids = (),
    delete_from: Path | None = None,
    moved_from: Path | None = None,
    versions: Switch = False,
    roll_back: int | None = None,
    prune: int | None = None,
    numbers: Literal["float32", "float16", "int8"] | None = None,
    ann_from: int = 100_000,
    overwrite: Switch = False,
    resume: Switch = False,
    local: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Make documents searchable: JSONL, CSV, Parquet, BEIR folders, Markdown, text, HTML, PDF.

    Args:
        inputs: Files and folders.
        output_dir: Folder of the index; or its place in an object store, such as s3://bucket/index.
        source: A benchmark in place of files.
        model: The encoder: embedded (default), a folder, or a Hub id (id@revision).
        debias: A correction of language bias that `isoglot debias fit` wrote.
        options: How the model is opened; its length is that of a passage, title included: longer documents are split
            at sentences.
        devices: Several devices, comma-separated, a process each: 0,1 (of CUDA's), or cpu,cpu.
        elsewhere: Where passages are encoded.
        keeping: What keeps it at what folders hold.
        update: Add to an index and replace what changed; documents that are not among the inputs stay.
        by_id: Records replace those of their ids, whatever file these came from (with --update).
        delete: Id of a document to delete (with --update); repeat it for more. Where no id is so, commas part ids.
        delete_from: File of ids to delete, one a line (with --update).
        moved_from: Where the input was when it was indexed (with --update); its documents keep their ids.
        versions: List the published versions.
        roll_back: Number of the version that searches shall see.
        prune: Remove all but so many of the newest versions, and what only they hold; alone, or after an update.
        numbers: Numbers that a new index keeps its vectors in: float32 (default), float16, or int8, which is searched
            exactly only; what they lose is measured.
        ann_from: Passages from which an approximate index is built.
        overwrite: Replace what the folder holds.
        resume: Go on with a build that was interrupted.
        local: Folder for the working copy of an index in an object store; the cache when not given.
        as_json: Print the result as JSON.
    """
    given = locals()
    from isoglot.core.files import claimed_folder, shown
    from isoglot.documents.finding import find_sources
    from isoglot.encoders.debias import load_debias
    from isoglot.search.index.manifest import BUILDING, FILE, read_manifest
    from isoglot.search.index.versions import prune as prune_versions
    from isoglot.search.index.versions import roll_back as roll

    if prune is not None and prune < 1:
        raise InputError(f"--prune {prune}: expected at least 1, how many of the newest versions to keep")
    if _is_elsewhere(output_dir):
        _in_store(given)
        return
    if local is not None:
        raise InputError("--local: is of an index in an object store (-o s3://bucket/index); leave it out")
    chosen, kept = source or IndexedBenchmark(), keeping or KeepingUp()
    if versions or roll_back is not None:
        if inputs or chosen.benchmark or kept.on or update or delete or delete_from or prune is not None:
            raise InputError("--versions and --roll-back stand alone; leave out inputs and the other flags")
        manifest = read_manifest(output_dir) if roll_back is None else roll(output_dir, roll_back)
        print_versions(manifest, as_json=as_json)
        return
    if prune is not None and not (inputs or chosen.benchmark or kept.on or update or delete or delete_from):
        pruned = prune_versions(output_dir, prune)
        print_versions(pruned.manifest, as_json=as_json, pruned=pruned)
        return
    refused = {"benchmark": chosen.benchmark, "by_id": by_id, "delete": delete, "delete_from": delete_from}
    kept.check(inputs, output_dir, **refused, overwrite=overwrite, resume=resume)
    if kept.on:
        # What there is decides: an index, one that was begun, or nothing.
        update = (output_dir / FILE).is_file()
        resume = not update and (output_dir / BUILDING).is_file()
    if (delete or delete_from) and not update:
        raise InputError("--delete: takes documents out of an index; give --update with it")
    if by_id and not update:
        raise InputError("--by-id: says what records replace; give --update with it")
    if moved_from is not None and not (update and len(inputs) == 1):
        raise InputError("--moved-from: says where one input was before; give --update and that input with it")
    if moved_from is not None and kept.watch:
        raise InputError("--moved-from: is for one run; give it with --sync once, then --watch without it")
    if chosen != IndexedBenchmark() and not chosen.benchmark:
        raise InputError("--data-dir, --rows, --langs and the like are of a benchmark; give --benchmark with them")
    if chosen.benchmark and inputs:
        raise InputError("--benchmark: its passages are indexed in place of files; leave the inputs out")
    if not inputs and not chosen.benchmark and not (delete or delete_from):
        raise InputError("nothing to index; name files or folders, or a benchmark")
    place = elsewhere or Elsewhere()
    executor = place.executor(devices)
    opened = options or ModelOptions()
    opening = opened
    if update:
        there = read_manifest(output_dir)
        name = model or there.model
        opening = replace(opened.filled(there.options), length=there.length)
    else:
        name = model or "embedded"
        if inputs:
            find_sources(list(inputs), may_be_empty=kept.on and kept.share >= 1)  # before anything is replaced
        if debias is not None:
            load_debias(debias)
        _refuse_what_is_there(output_dir, overwrite=overwrite, resume=resume)

    data = None
    if chosen.benchmark:
        with TemporaryDirectory(prefix="isoglot-") as scratch:
            data = open_source(chosen, Path(scratch))

    from isoglot.core.progress import progress_line
    from isoglot.core.run_record import write_run
    from isoglot.encoders.opening import open_on
    from isoglot.search.index.building import build_index
    from isoglot.search.index.deletion import read_ids
    from isoglot.search.index.lance import require_lancedb
    from isoglot.search.measured import passage_documents

    listed = read_ids(delete_from) if delete_from else []
    claim = nullcontext(output_dir) if update else claimed_folder(output_dir, overwrite=overwrite, resume=resume)
    require_lancedb()  # before a model is opened
    with claim as folder:
        encoder = open_encoder(name, opening, devices)
        how: dict[str, Any] = {
            "name": _whole(name),
            "debias": debias,
            "length": opened.length,
            "precision": opened.precision,
            "options": opened.record(),
            "numbers": numbers,
            "ann_from": ann_from,
            "most_deleted": kept.share,
            "executor": executor,
            "opener": partial(open_on, _whole(name), opening, opening.device),
            "price": place.price_per_hour,
        }

        def record(done: Built) -> None:
            write_run(
                folder,
                "index",
                {
                    "model": name,
                    "inputs": [shown(path) for path in inputs],
                    "length": opened.length,
                    "update": update,
                    "sync": kept.on,
                    "benchmark": source_settings(chosen) if chosen.benchmark else None,
                    "debias": str(debias) if debias else None,
                    "delete": [*delete, *listed],
                    "precision": opened.precision,
                    "numbers": numbers,
                },
                data={} if data is None else {"benchmark": data.checksum},
                seed=None,
                device=device_of(encoder),
                seconds=done.seconds,
                version=done.version.number,
            )

        if kept.watch:

            def one_round(done: Built, said: str | None) -> str:
                record(done)
                problems = problems_in_words(done.problems)
                if problems and problems != said:
                    print(problems, file=sys.stderr, flush=True)
                if done.changed or said is None:
                    removal = None if prune is None else prune_versions(folder, prune)
                    print_built(done, folder, removal, as_json=as_json)
                return problems

            keep_watching(inputs, folder, encoder, one_round, **how)
            return
        try:
            built = build_index(
                inputs if data is None else passage_documents(data),
                folder,
                encoder,
                sync=kept.on,
                update=update,
                by_id=by_id,
                delete=listed,
                delete_lists=delete,
                moved_from=moved_from,
                **how,
            )
        except KeyboardInterrupt:
            again = "--sync" if kept.on else "--update" if update else "--resume"
            progress_line(f"{folder}: what is stored so far stays; the same command with {again} goes on from there")
            raise
    record(built)
    print_problems(built.problems)
    if built.unknown:
        names = ", ".join(map(repr, built.unknown[:20])) + (", ..." if len(built.unknown) > 20 else "")
        refusal = f"not deleted, since there are no such documents: {len(built.unknown)} ({names})"
        if not inputs and not built.changed:
            raise InputError(f"{refusal}; nothing was done")
        print(f"isoglot: {refusal}", file=sys.stderr)
    print_built(built, folder, None if prune is None else prune_versions(folder, prune), as_json=as_json)


def _is_elsewhere(output_dir: Path) -> bool:
    from isoglot.search.replicas.place import as_address

    return as_address(output_dir) is not None


def _in_store(given: dict[str, Any]) -> None:
    """The same with an index in an object store: in a working copy, under a lease, and published in the end."""
    from isoglot.core.progress import progress_line
    from isoglot.search.replicas.place import Place, as_address
    from isoglot.search.replicas.snapshot import current
    from isoglot.search.replicas.working import working_copy

    address, local, kept = as_address(given["output_dir"]), given["local"], given["keeping"] or KeepingUp()
    if kept.watch:
        raise InputError("--watch: is of an index in a folder; run --sync now and then for one in an object store")
    changes = given["update"] or given["roll_back"] is not None
    new = not (changes or given["versions"]) and (given["prune"] is None or bool(given["inputs"]))
    place = Place.at(str(address))
    if kept.on:
        found = current(place)
        new = found is None or not found[0].number
    with working_copy(place, local, new=new, overwrite=given["overwrite"]) as copy:
        if not (copy.built and given["resume"]):
            index(*given["inputs"], **{**_but(given, "inputs"), "output_dir": copy.folder, "local": None})
        if given["versions"]:
            return
        done = copy.publish()
    state = f"{done.files} files sent" if done.new else "nothing new to send"
    progress_line(f"snapshot {done.snapshot.number} (version {done.snapshot.version}) at {address}: {state}")


def _but(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def _whole(name: str) -> str:
    """A model's name as every folder understands it."""
    return name if name == "embedded" or not Path(name).is_dir() else str(Path(name).resolve())


def _refuse_what_is_there(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Say which flag is wanted where the folder holds an index, finished or not."""
    from isoglot.search.index.manifest import BUILDING, FILE

    if (folder / FILE).is_file() and (resume or not overwrite):
        raise InputError(f"{folder}: this index is finished; give --update to add to it, or --overwrite to replace it")
    if (folder / BUILDING).is_file() and not (resume or overwrite):
        raise InputError(
            f"{folder}: an index that was not finished; give --resume to go on, or --overwrite to replace it"
        )
