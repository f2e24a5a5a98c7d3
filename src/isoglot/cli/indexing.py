"""`isoglot index`: build an index from files, update it, and manage its versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from isoglot.cli.benchmarks import IndexedBenchmark
from isoglot.cli.cluster_flags import Elsewhere
from isoglot.cli.help_page import BENCHMARK, MODEL, UPDATES, WORKERS
from isoglot.cli.index_report import print_versions
from isoglot.cli.index_request import IndexRequest
from isoglot.cli.options import Json, OutputDir, Switch
from isoglot.cli.syncing import KeepingUp
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

Ids = Annotated[tuple[str, ...], Parameter(negative="")]


def index(
    *inputs: Path,
    output_dir: OutputDir,
    source: Annotated[IndexedBenchmark | None, Parameter(name="*", group=BENCHMARK)] = None,
    model: str | None = None,
    debias: Path | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    elsewhere: Annotated[Elsewhere | None, Parameter(name="*", group=WORKERS)] = None,
    keeping: Annotated[KeepingUp | None, Parameter(name="*", group=UPDATES)] = None,
    update: Switch = False,
    by_id: Switch = False,
    delete: Ids = (),
    delete_from: Path | None = None,
    moved_from: Path | None = None,
    versions: Switch = False,
    roll_back: int | None = None,
    prune: int | None = None,
    numbers: Literal["float32", "float16", "int8"] | None = None,
    in_context: Switch = False,
    tokens: Switch = False,
    ann_from: int = 100_000,
    overwrite: Switch = False,
    resume: Switch = False,
    local: Path | None = None,
    as_json: Json = False,
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
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        elsewhere: Workers of a cluster to encode on.
        keeping: How the index follows the contents of folders.
        update: Add to an index and replace what changed; documents that are not among the inputs stay.
        by_id: Records replace those with the same ids, whatever file these came from (with --update).
        delete: Id of a document to delete (with --update); may be given several times. A value that is no document's id
            is read as ids separated by commas.
        delete_from: File of ids to delete, one a line (with --update).
        moved_from: Where the input was when it was indexed (with --update); its documents keep their ids.
        versions: List the published versions.
        roll_back: Number of the published version to make the current one.
        prune: Keep only this many of the newest versions (and the current one), and delete the others with the files
            that only they need; alone, or after an update.
        numbers: Data type of the vectors in a new index: float32 (default), float16, or int8 (exact search only); what
            is lost by it is measured.
        in_context: Also encode the passages of a new index within their documents, so that a sentence that says `it` is
            found by what that refers to.
        tokens: Store the passages' token vectors in a new index, so that searches with --rerank late need not encode
            passages.
        ann_from: Number of passages from which an approximate index (ANN) is built.
        overwrite: Replace what the folder holds.
        resume: Continue a build that was interrupted.
        local: Folder for the working copy of an index in an object store; the cache when not given.
        as_json: Print the result as JSON.
    """
    given = locals()
    defaults = {"source": IndexedBenchmark, "options": ModelOptions, "elsewhere": Elsewhere, "keeping": KeepingUp}
    asked = IndexRequest(**given | {name: given[name] or default() for name, default in defaults.items()})
    if prune is not None and prune < 1:
        raise InputError(f"--prune {prune}: expected at least 1, how many of the newest versions to keep")
    if _is_elsewhere(output_dir):
        _in_store(asked)
    elif local is not None:
        raise InputError("--local: only for an index in an object store (-o s3://bucket/index); leave it out")
    else:
        _in_folder(asked)


def _in_folder(asked: IndexRequest) -> None:
    """Handle a request for an index in a folder: about versions, or about documents."""
    from isoglot.cli.index_building import build

    if not _with_versions(asked):
        asked = asked.settled()
        asked.check()
        build(asked)


def _with_versions(asked: IndexRequest) -> bool:
    """List, roll back or prune versions if nothing else was requested; return whether that was the case."""
    from isoglot.search.index.manifest import read_manifest
    from isoglot.search.index.versions import prune, roll_back

    if asked.versions or asked.roll_back is not None:
        if asked.changes_documents or asked.prune is not None:
            raise InputError("--versions and --roll-back take no inputs or other flags; leave them out")
        folder, number = asked.output_dir, asked.roll_back
        manifest = read_manifest(folder) if number is None else roll_back(folder, number)
        print_versions(manifest, as_json=asked.as_json)
        return True
    if asked.prune is not None and not asked.changes_documents:
        pruned = prune(asked.output_dir, asked.prune)
        print_versions(pruned.manifest, as_json=asked.as_json, pruned=pruned)
        return True
    return False


def _is_elsewhere(output_dir: Path) -> bool:
    from isoglot.search.replicas.place import as_address

    return as_address(output_dir) is not None


def _in_store(asked: IndexRequest) -> None:
    """Handle a request for an index in an object store: change a working copy under a lease, then publish it."""
    from isoglot.core.progress import progress_line
    from isoglot.search.replicas.place import Place, as_address
    from isoglot.search.replicas.snapshot import current
    from isoglot.search.replicas.working_copy import working_copy

    address = as_address(asked.output_dir)
    if asked.keeping.watch:
        raise InputError("--watch: only for an index in a folder; for one in an object store, run --sync regularly")
    changes = asked.update or asked.roll_back is not None
    new = not (changes or asked.versions) and (asked.prune is None or bool(asked.inputs))
    place = Place.at(str(address))
    if asked.keeping.on:
        found = current(place)
        new = found is None or not found[0].number
    with working_copy(place, asked.local, new=new, overwrite=asked.overwrite, resume=asked.resume) as copy:
        if not (copy.built and asked.resume):
            _in_folder(replace(asked, output_dir=copy.folder, local=None))
        if asked.versions:
            return
        done = copy.publish()
    state = f"{done.files} files sent" if done.new else "nothing new to send"
    progress_line(f"snapshot {done.snapshot.number} (version {done.snapshot.version}) at {address}: {state}")
