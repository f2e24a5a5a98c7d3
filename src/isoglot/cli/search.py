"""`isoglot index` and `isoglot search`: from files to answers."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from isoglot.cli.encoders import device_of, open_encoder
from isoglot.cli.options import Names, OutputDir, Switch
from isoglot.core.errors import InputError
from isoglot.core.files import json_line
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.core.problems import Problems
    from isoglot.search.index.manifest import Manifest
    from isoglot.search.index.versions import Pruned
    from isoglot.search.searcher import Searcher


Ids = Annotated[tuple[str, ...], Parameter(negative="")]


def index(
    *inputs: Path,
    output_dir: OutputDir,
    model: str | None = None,
    debias: Path | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*")] = None,
    devices: str | None = None,
    update: Switch = False,
    delete: Ids = (),
    delete_from: Path | None = None,
    moved_from: Path | None = None,
    versions: Switch = False,
    roll_back: int | None = None,
    prune: int | None = None,
    ann_from: int = 100_000,
    overwrite: Switch = False,
    resume: Switch = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Make documents searchable: JSONL, CSV, Parquet, BEIR folders, Markdown, text, HTML, PDF.

    Args:
        inputs: Files and folders.
        output_dir: Folder of the index.
        model: The encoder: embedded (default), a folder, or a Hub id (id@revision).
        debias: A correction of language bias that `isoglot debias fit` wrote.
        options: How the model is opened; its length is that of a passage, title included: longer documents are split
            at sentences.
        devices: Several devices, comma-separated, a process each: 0,1 (of CUDA's), or cpu,cpu.
        update: Add to an index and replace what changed; documents that are not among the inputs stay.
        delete: Id of a document to delete (with --update); repeat it for more. Where no id is so, commas part ids.
        delete_from: File of ids to delete, one a line (with --update).
        moved_from: Where the input was when it was indexed (with --update); its documents keep their ids.
        versions: List the published versions.
        roll_back: Number of the version that searches shall see.
        prune: Remove all but so many of the newest versions, and what only they hold; alone, or after an update.
        ann_from: Passages from which an approximate index is built.
        overwrite: Replace what the folder holds.
        resume: Go on with a build that was interrupted.
        as_json: Print the result as JSON.
    """
    from isoglot.core.files import claimed_folder, shown
    from isoglot.documents.finding import find_sources
    from isoglot.encoders.debias import load_debias
    from isoglot.search.index.manifest import read_manifest
    from isoglot.search.index.versions import prune as prune_versions
    from isoglot.search.index.versions import roll_back as roll

    if prune is not None and prune < 1:
        raise InputError(f"--prune {prune}: expected at least 1, how many of the newest versions to keep")
    if versions or roll_back is not None:
        if inputs or update or delete or delete_from or prune is not None:
            raise InputError("--versions and --roll-back stand alone; leave out inputs and the other flags")
        manifest = read_manifest(output_dir) if roll_back is None else roll(output_dir, roll_back)
        _print_versions(manifest, as_json)
        return
    if prune is not None and not (inputs or update or delete or delete_from):
        pruned = prune_versions(output_dir, prune)
        _print_versions(pruned.manifest, as_json, pruned)
        return
    if (delete or delete_from) and not update:
        raise InputError("--delete: takes documents out of an index; give --update with it")
    if moved_from is not None and not (update and len(inputs) == 1):
        raise InputError("--moved-from: says where one input was before; give --update and that input with it")
    if not inputs and not (delete or delete_from):
        raise InputError("nothing to index; name files or folders")
    opened = options or ModelOptions()
    opening = opened
    if update:
        there = read_manifest(output_dir)
        name = model or there.model
        opening = replace(opened.filled(there.options), length=there.length)
    else:
        name = model or "embedded"
        if inputs:
            find_sources(list(inputs))  # before anything is replaced
        if debias is not None:
            load_debias(debias)
        _refuse_what_is_there(output_dir, overwrite=overwrite, resume=resume)

    from isoglot.core.progress import progress_line
    from isoglot.core.run_record import write_run
    from isoglot.search.index.building import build_index
    from isoglot.search.index.deletion import read_ids

    doomed = [*delete, *(read_ids(delete_from) if delete_from else ())]
    claim = nullcontext(output_dir) if update else claimed_folder(output_dir, overwrite=overwrite, resume=resume)
    with claim as folder:
        encoder = open_encoder(name, opening, devices)
        try:
            built = build_index(
                inputs,
                folder,
                encoder,
                name=name if name == "embedded" or not Path(name).is_dir() else str(Path(name).resolve()),
                debias=debias,
                length=opened.length,
                update=update,
                delete=doomed,
                moved_from=moved_from,
                precision=opened.precision,
                options=opened.record(),
                ann_from=ann_from,
            )
        except KeyboardInterrupt:
            again = "--update" if update else "--resume"
            progress_line(f"{folder}: what is stored so far stays; the same command with {again} goes on from there")
            raise
    settings = {"model": name, "inputs": [shown(path) for path in inputs], "length": opened.length, "update": update}
    write_run(
        folder,
        "index",
        {**settings, "debias": str(debias) if debias else None, "delete": doomed, "precision": opened.precision},
        data={},
        seed=None,
        device=device_of(encoder),
        seconds=built.seconds,
        version=built.version.number,
    )
    _report_problems(built.problems)
    if built.unknown:
        names = ", ".join(map(repr, built.unknown[:20])) + (", ..." if len(built.unknown) > 20 else "")
        print(
            f"isoglot: not deleted, since there are no such documents: {len(built.unknown)} ({names})", file=sys.stderr
        )
    removal = None if prune is None else prune_versions(folder, prune)
    counts = {key: getattr(built, key) for key in ("added", "replaced", "deleted", "unchanged", "folded")}
    version = built.version
    if as_json:
        facts = {"documents": version.documents, "passages": version.passages, "languages": version.languages}
        told = {"problems": built.problems.count, "unknown": list(built.unknown), "ann": version.ann}
        record = {"version": version.number, **counts, **facts, **told}
        print(json_line({**record, **_freed(removal), "seconds": round(built.seconds, 2)}))
        return
    done = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do"
    rate = f", {(built.added + built.replaced) / built.seconds:.0f} documents/s" if built.changed else ""
    langs = ", ".join(f"{code} {count}" for code, count in version.languages.items())
    print(
        f"documents: {done} ({built.seconds:.1f} s{rate})\n"
        f"version {version.number} of {folder}: {version.passages} passages of {version.documents} documents ({langs})"
    )
    if removal is not None:
        print(_removal(removal))


def _refuse_what_is_there(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Say which flag is wanted where the folder holds an index, finished or not."""
    from isoglot.search.index.manifest import BUILDING, FILE

    if (folder / FILE).is_file() and (resume or not overwrite):
        raise InputError(f"{folder}: this index is finished; give --update to add to it, or --overwrite to replace it")
    if (folder / BUILDING).is_file() and not (resume or overwrite):
        raise InputError(
            f"{folder}: an index that was not finished; give --resume to go on, or --overwrite to replace it"
        )


def search(
    folder: Path,
    query: str | None = None,
    /,
    *,
    queries: Path | None = None,
    run: Path | None = None,
    overwrite: Switch = False,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    langs: Names | None = None,
    mode: Literal["dense", "lexical", "hybrid"] = "dense",
    fair: Literal["none", "balanced"] = "none",
    quota: float = 0.5,
    query_lang: str | None = None,
    rerank: str | None = None,
    expand: str | None = None,
    expand_with: Literal["passage", "translate", "both"] = "passage",
    expand_model: str = "default",
    expand_timeout: float = 20.0,
    model: str | None = None,
    options: Annotated[ModelOptions | None, Parameter(name="*")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Search an index with one query, or with a file of them.

    Args:
        folder: Made by `isoglot index`.
        query: In any language.
        queries: A file of many: TSV of id and text, or JSONL (BEIR), CSV or Parquet of _id and text.
        run: The TREC run to write for them.
        overwrite: Replace a run that is there.
        k: How many results; 10, and 1000 in a run.
        langs: Comma-separated languages of results.
        mode: dense (meaning), lexical (words, BM25), hybrid (both, by reciprocal rank fusion).
        fair: balanced takes the model's preference for some languages out of the ranking.
        quota: With balanced, the share of places dealt out evenly between languages (0 to 1).
        query_lang: Language of the query, for an index with --debias; guessed when not given.
        rerank: A cross-encoder (folder or Hub id) that scores the best results anew.
        expand: URL of an OpenAI-compatible API that rewrites the query first; its key in OPENAI_API_KEY.
        expand_with: passage (one that would answer), translate, or both.
        expand_model: The model that the endpoint runs.
        expand_timeout: Seconds that one request may take.
        model: The encoder, where it lies elsewhere now.
        options: How it is opened, where not as it was for the index.
        as_json: Print the results as JSON.
    """
    import os

    from isoglot.core.cache import cache_folder
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.search.searcher import Searcher

    if (query is None) == (queries is None):
        raise InputError("give a query, or a file of them with --queries")
    if (queries is None) != (run is None):
        raise InputError("--queries and --run go together: many queries are answered in a TREC run")
    if overwrite and run is None:
        raise InputError("--overwrite: replaces a run; give --queries and --run with it")
    texts = None
    if queries is not None and run is not None:
        from isoglot.search.runs import read_queries

        if run.exists() and (run.is_dir() or not overwrite):
            raise InputError(f"{run}: exists; give --overwrite to replace it or another --run")
        texts = read_queries(queries)  # before anything is loaded
    if mode != "lexical" or rerank is not None:
        quiet_libraries()  # imports transformers, which a search for words does without
    searcher = Searcher.open(folder, model, options=options)
    expander = None
    if expand is not None:
        from isoglot.search.expansion import Expander

        expander = Expander(
            expand,
            model=expand_model,
            strategy=expand_with,
            langs=langs or tuple(searcher.languages()),
            api_key=os.environ.get("OPENAI_API_KEY", "none"),
            timeout=expand_timeout,
            cache=cache_folder() / "expansions",
        )
    how: dict[str, Any] = {
        "langs": langs,
        "mode": mode,
        "fair": fair,
        "quota": quota,
        "query_lang": query_lang,
        "rerank": rerank,
        "expand": expander,
    }
    if texts is not None and run is not None:
        _write_run(searcher, texts, run, k, as_json, how)
        return
    hits = searcher.search(query or "", k=10 if k is None else k, **how)
    if as_json:
        from dataclasses import asdict

        print(json_line([{"rank": rank, **asdict(hit)} for rank, hit in enumerate(hits, 1)]))
        return
    if not hits:
        print("nothing found")
    width = max([3, *(len(hit.lang) for hit in hits)])
    for rank, hit in enumerate(hits, 1):
        title = f"{_plain(hit.title)} · " if hit.title else ""
        print(f"{rank:>3}  {hit.score:.4f}  {hit.lang:<{width}}  {title}{_plain(hit.text)[:200]}  [{_plain(hit.id)}]")


def _write_run(
    searcher: Searcher, queries: dict[str, str], path: Path, k: int | None, as_json: bool, how: dict[str, Any]
) -> None:
    from isoglot.search.runs import DEPTH, search_to_run

    written = search_to_run(searcher, queries, path, k=DEPTH if k is None else k, **how)
    if as_json:
        print(json_line({"run": str(path), **written._asdict()}))
        return
    print(f"{path}: {written.lines} lines for {written.queries} queries")
    if written.empty:
        some = ", ".join(map(repr, written.empty[:10])) + (", ..." if len(written.empty) > 10 else "")
        print(f"isoglot: nothing found for {len(written.empty)} queries: {some}", file=sys.stderr)


def _plain(text: str) -> str:
    """One line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def _print_versions(manifest: Manifest, as_json: bool, pruned: Pruned | None = None) -> None:
    from dataclasses import asdict

    if as_json:
        record = {"current": manifest.current, "versions": [asdict(version) for version in manifest.versions]}
        print(json_line({**record, **_freed(pruned)}))
        return
    for version in manifest.versions:
        mark = "*" if version.number == manifest.current else " "
        print(
            f"{mark} {version.number:>3}  {version.created}  {version.documents} documents, {version.passages} passages"
        )
    if pruned is not None:
        print(_removal(pruned))


def _freed(pruned: Pruned | None) -> dict[str, Any]:
    return {} if pruned is None else {"removed": pruned.removed, "freed_bytes": pruned.freed}


def _removal(pruned: Pruned) -> str:
    numbers = ", ".join(map(str, pruned.removed)) or "none"
    return f"versions removed: {numbers}; {pruned.freed / 2**20:.1f} MiB freed"


def _report_problems(problems: Problems) -> None:
    if problems.count or problems.warned:
        counts = [f"{problems.count} passed over"] if problems.count else []
        counts += [f"{problems.warned} to be checked"] if problems.warned else []
        more = [f"... and {problems.unshown} more: {problems.summary()}"] if problems.unshown else []
        print("\n".join([f"isoglot: {', '.join(counts)}:", *problems.shown, *more]), file=sys.stderr)
