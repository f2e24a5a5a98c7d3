"""`isoglot evaluate` and `isoglot encode`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from isoglot.cli.benchmarks import Source, open_source, source_settings
from isoglot.cli.measuring_values import parse_memory, parse_runs
from isoglot.cli.options import OutputDir, Paths, Switch
from isoglot.core.errors import InputError
from isoglot.core.files import json_line
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.data.benchmarks.streamed import StreamedCorpus
    from isoglot.measuring.evaluating import Sides
    from isoglot.measuring.evaluation import Evaluation


def evaluate(
    *,
    output_dir: OutputDir,
    model: str | None = None,
    source: Annotated[Source | None, Parameter(name="*")] = None,
    vectors: Path | None = None,
    run: Paths = (),
    run_pool: Literal["all", "own"] = "all",
    options: Annotated[ModelOptions | None, Parameter(name="*")] = None,
    devices: str | None = None,
    debias: Path | None = None,
    relevant_from: float = 1,
    resamples: int = 10_000,
    require: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    write_trec: Switch = False,
    trec_depth: int = 1000,
    write_mteb: Switch = False,
    report: Switch = False,
    memory: str = "2GB",
    depth: int = 1000,
    overwrite: Switch = False,
    resume: Switch = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Measure a retriever: monolingual, cross-lingual and multilingual retrieval, per language and pair.

    Args:
        output_dir: Folder for metrics.json, per_query.parquet and run.json.
        model: embedded (the default), a Sentence Transformers folder, a Hub id (id@revision), or an
            OpenAI-compatible endpoint (endpoint:http://HOST/v1#MODEL).
        source: What to measure on.
        vectors: Score vectors instead of a model: what isoglot encode wrote, a Parquet file (id, lang, role, vector),
            or NumPy files with their ids beside them (queries.npy, queries.ids, passages.npy, passages.ids).
        run: Score a TREC run instead of a model; LANG=FILE names the run of one query language, and may be given
            several times.
        run_pool: What the run's queries were asked of: all languages together, or their own only.
        options: How the model is opened.
        devices: Several devices, comma-separated, a process each: 0,1 (of CUDA's), or cpu,cpu.
        debias: A correction of language bias that `isoglot debias fit` wrote.
        relevant_from: The lowest grade that counts as relevant, for all measures but nDCG, which takes the grades
            themselves.
        resamples: Of the bootstrap that gives the intervals; 0 for none.
        require: Exit with 3 when missed, such as "multilingual.map>=0.55"; may be given several times.
        write_trec: Also write TREC runs and qrels, into the folder's trec.
        trec_depth: Passages a query in those runs; 0 for all.
        write_mteb: Also write MTEB result files, into the folder's mteb.
        report: Also write a report (HTML, Markdown, CSV, LaTeX, pictures), into the folder's report.
        memory: For a block of passages and its scores when searching full miracl, such as 500MB or 8GB.
        depth: Passages kept for a query when searching full miracl.
        overwrite: Replace what the folder holds.
        resume: Go on with the encoding of full miracl that was broken off.
        as_json: Print metrics.json instead of the table.
    """
    from isoglot.core.files import claim_folder, sha256
    from isoglot.core.run_record import write_run
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.encoders.debias import load_debias
    from isoglot.encoders.endpoint import PREFIX as ENDPOINT
    from isoglot.measuring.gates import check_gates, parse_gate

    chosen, opened = source or Source(), options or ModelOptions()
    gates = [parse_gate(text) for text in require]
    limit = parse_memory(memory)
    runs = parse_runs(run)
    _refuse_mixed(model, vectors, runs)
    if resamples == 1 or resamples < 0 or depth < 1 or trec_depth < 0 or not relevant_from >= 1:
        raise InputError(
            "--resamples wants 0, or 2 and more; --depth and --relevant-from at least 1; --trec-depth at least 0"
        )
    if report and not resamples:
        raise InputError("--report shows intervals: --resamples wants 2 and more")
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        data = open_source(chosen, Path(scratch))
    started = time.perf_counter()
    streamed = not isinstance(data, Benchmark)
    if streamed and (write_trec or debias is not None):
        raise InputError(
            "--write-trec and --debias want passages in memory, not streamed ones (of miracl: --subset hard-negatives)"
        )
    if runs is not None and (write_trec or debias is not None):
        raise InputError("--run: --write-trec and --debias want vectors or a model, not a run")
    correction = load_debias(debias) if debias else None
    name = model or (str(vectors) if vectors else ",".join(map(str, run)) if run else "embedded")
    if vectors is None and runs is None:
        from isoglot.encoders.loading import locate, quiet_libraries

        quiet_libraries()
        if not name.startswith(ENDPOINT):
            locate(name)
        elif streamed:
            raise InputError(
                "--model endpoint: streamed passages want a model here (of miracl: --subset hard-negatives)"
            )
    folder = claim_folder(output_dir, overwrite=overwrite, resume=resume)

    from isoglot.measuring.evaluating import corrected, trained_languages
    from isoglot.measuring.scoring import relevant_only, score, score_run
    from isoglot.measuring.trec import write_trec as write_runs

    if runs is not None:
        pool = data if isinstance(data, Benchmark) else relevant_only(data)
        result = score_run(pool, runs, own_language=run_pool == "own", relevant_from=relevant_from)
        device = "cpu"
        if streamed:  # the passages were not read
            result = replace(result, candidates={}, top=None)
    elif not isinstance(data, Benchmark):
        result, device = _stream(
            data, folder, name, vectors, options, devices, memory=limit, depth=depth, relevant_from=relevant_from
        )
    else:
        sides, queries, candidates, device = _vectors(data, name, vectors, options, devices)
        queries, candidates = corrected(data, queries, candidates, correction)
        if write_trec:
            write_runs(folder / "trec", data, queries, candidates, depth=trec_depth)
        result = score(
            data, queries, candidates, name=name, trained=trained_languages(name), relevant_from=relevant_from
        )
        result = result if sides is None else sides.add_to(result)
    if resamples:
        result = result.with_intervals(resamples)
    result.save(folder, data if isinstance(data, Benchmark) else None)
    settings = {
        **source_settings(chosen),
        "model": name,
        "vectors": None if vectors is None else str(vectors),
        "run": [str(path) for path in run] or None,
        "run_pool": run_pool if run else None,
        "length": opened.length,
        "precision": opened.precision,
        **opened.record(),
        "debias": None if debias is None else str(debias),
        "relevant_from": relevant_from,
        "resamples": resamples,
        "depth": depth if streamed else None,
    }
    write_run(
        folder,
        "evaluate",
        settings,
        data={"benchmark": data.checksum, **({"debias": sha256(debias)} if debias else {})},
        seed=None,
        device=device,
        seconds=time.perf_counter() - started,
    )
    if write_mteb:
        from isoglot.measuring.mteb_results import write_mteb as write_results

        write_results(result, folder / "mteb", seconds=time.perf_counter() - started)
    from isoglot.studies.report import StudyReport, render_evaluation, write_report

    if report:
        shown = data if isinstance(data, Benchmark) else None
        top = {} if result.top is None else {result.model: result.top}
        languages = result.trained or ()
        facts = StudyReport(
            shown, [(result.model, None, result)], (), trained_languages=languages, resamples=resamples, top=top
        )
        write_report(facts, folder / "report")

    record = result.metrics()
    notes = "".join(f"\nnote: {note}" for note in result.notes)
    print(json_line(record) if as_json else f"{render_evaluation(result)}{notes}\n\nwritten to {folder}")
    check_gates(gates, record)


def encode(
    *,
    output_dir: OutputDir,
    model: str = "embedded",
    source: Annotated[Source | None, Parameter(name="*")] = None,
    options: Annotated[ModelOptions | None, Parameter(name="*")] = None,
    devices: str | None = None,
    numbers: Literal["float16", "float32"] = "float16",
    shard_size: int = 16_384,
    processes: int = 1,
    overwrite: Switch = False,
    resume: Switch = False,
) -> None:
    """Encode a benchmark's texts to vectors on disk, for isoglot evaluate --vectors; goes on after any interruption.

    Args:
        output_dir: Folder for the shards (Parquet: id, lang, role, vector).
        model: embedded, a Sentence Transformers folder, or a Hub id (id@revision).
        source: Whose texts.
        options: How the model is opened.
        devices: Several devices, comma-separated, a process each: 0,1 (of CUDA's), or cpu,cpu.
        numbers: How vectors are stored.
        shard_size: Texts in a shard.
        processes: How many encode at the same time.
        overwrite: Replace what the folder holds.
        resume: Keep the finished shards and go on.
    """
    from isoglot.core.files import claim_folder
    from isoglot.encoders.endpoint import PREFIX as ENDPOINT
    from isoglot.encoders.loading import locate, quiet_libraries

    if devices and processes > 1:
        raise InputError("--processes and --devices: a device has one process; give one of them")
    if shard_size < 1 or processes < 1:
        raise InputError("--shard-size and --processes want at least 1")
    if model.startswith(ENDPOINT):
        raise InputError("--model endpoint: isoglot encode wants a model here; isoglot evaluate takes endpoints")
    quiet_libraries()
    chosen = source or Source()
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        data = open_source(chosen, Path(scratch))
    locate(model)
    folder = claim_folder(output_dir, overwrite=overwrite, resume=resume)
    done = _encode_to(
        data, folder, model, options, devices, numbers=numbers, shard_size=shard_size, processes=processes
    )
    print(f"{done} shards encoded, all vectors in {folder}")


def _vectors(
    data: Benchmark, name: str, vectors: Path | None, options: ModelOptions | None, devices: str | None
) -> tuple[Sides | None, Any, Any, str]:
    """Vectors of queries and candidates, read or encoded (with what that took), and the device that was used."""
    if vectors is not None:
        from isoglot.encoders.vector_files import gather

        return None, *gather(vectors, data.queries.ids, data.candidates.ids), "cpu"
    from isoglot.cli.encoders import device_of, open_encoder
    from isoglot.measuring.evaluating import encode_sides

    encoder = open_encoder(name, options, devices)
    sides = encode_sides(encoder, data)
    return sides, sides.queries.vectors, sides.candidates.vectors, device_of(encoder)


def _stream(
    data: StreamedCorpus,
    folder: Path,
    name: str,
    vectors: Path | None,
    options: ModelOptions | None,
    devices: str | None,
    *,
    memory: int,
    depth: int,
    relevant_from: float,
) -> tuple[Evaluation, str]:
    """Score a corpus whose passages are encoded to disk and searched in blocks; and the device that was used."""
    from isoglot.core.run_record import device_name
    from isoglot.measuring.evaluating import trained_languages
    from isoglot.measuring.scoring import score_shards

    device = "cpu"
    if vectors is None:
        vectors = folder / "vectors"
        vectors.mkdir(exist_ok=True)
        _encode_to(data, vectors, name, options, devices)
        device = device_name(None)
    trained = trained_languages(name)
    result = score_shards(
        data, vectors, name=name, depth=depth, memory=memory, trained=trained, relevant_from=relevant_from
    )
    return result, device


def _encode_to(
    data: Benchmark | StreamedCorpus,
    folder: Path,
    model: str,
    options: ModelOptions | None,
    devices: str | None,
    *,
    numbers: Literal["float16", "float32"] = "float16",
    shard_size: int = 16_384,
    processes: int = 1,
) -> int:
    from functools import partial

    from isoglot.cli.encoders import say_shards
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.encoders.opening import open_embedder, open_on
    from isoglot.encoders.to_disk import encode_shards, entries_of, stream_of
    from isoglot.encoders.workers import split_devices

    entries = entries_of(data) if isinstance(data, Benchmark) else stream_of(data)
    opened, places = options or ModelOptions(), split_devices(devices)
    settings = {"model": model, "benchmark": data.checksum, "length": opened.length, "precision": opened.precision}
    opener = partial(open_on, model, opened) if places else partial(open_embedder, model, opened)
    done = encode_shards(
        entries,
        folder,
        opener,
        {**settings, **opened.record()},
        size=shard_size,
        kind=numbers,
        processes=processes,
        devices=places,
    )
    say_shards(folder, options)
    return done


def _refuse_mixed(model: str | None, vectors: Path | None, run: Path | dict[str, Path] | None) -> None:
    if vectors is not None and run is not None:
        raise InputError("--vectors and --run: give one of them")
    if model is not None and run is not None:
        raise InputError("--model and --run: a run needs no model; drop one")
