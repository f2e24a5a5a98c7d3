"""`isoglot evaluate`: score a model, vectors, a run or an index; write metrics, per-query values and reports."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from isoglot.cli.benchmarks import Source, open_source, source_settings
from isoglot.cli.cluster_flags import Elsewhere
from isoglot.cli.evaluating_values import parse_memory
from isoglot.cli.help_page import BENCHMARK, MODEL, SEARCH, WORKERS
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, OutputDir, Paths, Switch
from isoglot.cli.score_sources import score_source
from isoglot.cli.scoring import ScoreSource, Scoring
from isoglot.cli.search_flags import Ranking
from isoglot.core.errors import InputError
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.measuring.evaluation import Evaluation


def evaluate(
    *,
    output_dir: OutputDir,
    model: str | None = None,
    source: Annotated[Source | None, Parameter(name="*", group=BENCHMARK)] = None,
    vectors: Path | None = None,
    run: Paths = (),
    run_pool: Literal["all", "own"] = "all",
    index: str | None = None,
    ranking: Annotated[Ranking | None, Parameter(name="*", group=SEARCH)] = None,
    late: Switch = False,
    in_context: Switch = False,
    options: Annotated[ModelOptions | None, Parameter(name="*", group=MODEL)] = None,
    devices: str | None = None,
    elsewhere: Annotated[Elsewhere | None, Parameter(name="*", group=WORKERS)] = None,
    debias: Path | None = None,
    relevant_from: float = 1,
    resamples: int = 10_000,
    require: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    write_trec: Switch = False,
    trec_depth: int = 1000,
    write_mteb: Switch = False,
    report: Switch = False,
    memory: str = "2GB",
    depth: int | None = None,
    overwrite: Switch = False,
    resume: Switch = False,
    as_json: Json = False,
) -> None:
    """Measure a retriever: monolingual, cross-lingual and multilingual retrieval, per language and pair.

    Args:
        output_dir: Folder for metrics.json, per_query.parquet and run.json.
        model: embedded (the default), a Sentence Transformers folder, a Hub id (id@revision), or an
            OpenAI-compatible endpoint (endpoint:http://HOST/v1#MODEL).
        source: The benchmark to measure on.
        vectors: Score vectors instead of a model: what isoglot encode wrote, a Parquet file (id, lang, role, vector),
            or NumPy files with their ids beside them (queries.npy, queries.ids, passages.npy, passages.ids).
        run: Score a TREC run instead of a model; LANG=FILE names the run of one query language, and may be given
            several times.
        run_pool: Candidates of the run: all languages together (all), or only the query's own language (own).
        index: Score the searches of an index that `isoglot index --benchmark` made of the same benchmark: its folder,
            or a place that it was exported to.
        ranking: How the index is searched.
        late: Late interaction (MaxSim): also compare each token of a query with the nearest token of a passage. Takes
            minutes for thousands of queries and passages.
        in_context: Also encode every candidate within its paragraph (xquad-r, mlqa-r, and folders in their layout).
        options: How the model is opened.
        devices: Encode on several devices, one process each: 0,1 (CUDA devices), or cpu,cpu.
        elsewhere: Workers of a cluster that encode, and search streamed passages.
        debias: A correction of language bias that `isoglot debias fit` wrote.
        relevant_from: The lowest grade that counts as relevant, for all measures but nDCG, which takes the grades
            themselves.
        resamples: Bootstrap resamples for the intervals; 0 for no intervals.
        require: Quality gate, such as "multilingual.map>=0.55": exit with code 3 if it is missed; may be given several
            times.
        write_trec: Also write TREC runs and qrels, to trec/ in the output folder.
        trec_depth: Passages per query in these runs; 0 for all.
        write_mteb: Also write MTEB result files, to mteb/ in the output folder.
        report: Also write a report (HTML, Markdown, CSV, LaTeX, figures), to report/ in the output folder.
        memory: Memory for a block of passages and its scores when searching full miracl, such as 500MB or 8GB.
        depth: Passages kept per query when searching full miracl (default 1000) or an index (default 100).
        overwrite: Replace what the folder holds.
        resume: Continue an interrupted encoding of full miracl.
        as_json: Print metrics.json instead of the table.
    """
    from isoglot.core.files import sha256
    from isoglot.core.output_folders import claimed_folder
    from isoglot.core.run_record import write_run
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.measuring.gates import check_gates, parse_gate
    from isoglot.measuring.trec import require_trec_ids

    chosen, opened = source or Source(), options or ModelOptions()
    executor = (elsewhere or Elsewhere()).executor(devices)
    gates = [parse_gate(text) for text in require]
    depth = depth if depth is not None else 1000 if index is None else 100
    searched = ranking or Ranking()
    how = Scoring(
        relevant_from=relevant_from,
        debias=debias,
        feedback=searched.feedback,
        late=late,
        in_context=in_context,
        balanced=searched.fair == "balanced",
        trec_depth=trec_depth if write_trec else None,
        memory=parse_memory(memory),
        depth=depth,
    )
    scores = score_source(model, vectors, run, run_pool, index, searched, options, devices, executor)
    if resamples == 1 or resamples < 0 or depth < 1 or trec_depth < 0 or not relevant_from >= 1:
        raise InputError(
            "--resamples must be 0 or at least 2; --depth and --relevant-from at least 1; --trec-depth at least 0"
        )
    if report and not resamples:
        raise InputError("--report shows intervals: --resamples must be at least 2")
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        data = open_source(chosen, Path(scratch))
    started = time.perf_counter()
    in_memory = data if isinstance(data, Benchmark) else None
    scores.check(how, streamed=in_memory is None)
    if in_memory is not None and write_trec:
        require_trec_ids(in_memory)  # fail before minutes of encoding
    settings = {
        **source_settings(chosen),
        **_settings(scores, how, opened),
        "resamples": resamples,
        "depth": None if in_memory is not None and index is None else depth,
    }
    sums = {"benchmark": data.checksum, **({"debias": sha256(debias)} if debias else {}), **scores.checksums()}
    if resume:
        _require_same(output_dir, settings, sums)
    with claimed_folder(output_dir, overwrite=overwrite, resume=resume) as folder:
        if isinstance(data, Benchmark):
            result, device = scores.score(data, folder, how)
        else:
            result, device = scores.score_streamed(data, folder, how)
        if resamples:
            result = result.with_intervals(resamples)
        result.save(folder, in_memory)
        write_run(
            folder,
            "evaluate",
            settings,
            data=sums,
            seed=None,
            device=device,
            seconds=time.perf_counter() - started,
        )
    if write_mteb:
        from isoglot.measuring.mteb_results import write_mteb as write_results

        write_results(result, folder / "mteb", seconds=time.perf_counter() - started)
    if report:
        _write_report(result, in_memory, folder / "report", resamples)
    record = result.metrics()
    print(json_line(record) if as_json else _shown(result, folder))
    check_gates(gates, record)


def _require_same(folder: Path, settings: dict[str, Any], sums: dict[str, str]) -> None:
    """Check that a finished folder, if it is resumed, was made with the same settings and data."""
    from isoglot.core.run_record import read_run, require_same

    record = read_run(folder)
    if record is None:
        return
    if record.get("verb") != "evaluate":
        raise InputError(f"{folder}: holds what `isoglot {record.get('verb')}` made; give another --output-dir")
    before = record.get("data", {})
    if "model" not in before:  # the record has no checksum of the model to compare with
        sums = {name: checksum for name, checksum in sums.items() if name != "model"}
    saved = {**record.get("settings", {}), **_checksums(before)}
    require_same(folder, saved, {**settings, **_checksums(sums)})


def _checksums(sums: dict[str, str]) -> dict[str, str]:
    return {f"{name}'s checksum": checksum for name, checksum in sums.items()}


def _settings(scores: ScoreSource, how: Scoring, options: ModelOptions) -> dict[str, Any]:
    """Return the settings for `run.json`: what was scored, and how."""
    return {
        "model": scores.name,
        **{"vectors": None, "run": None, "run_pool": None, "index": None, **scores.settings()},
        "length": options.length,
        "precision": options.precision,
        **options.record(),
        "debias": None if how.debias is None else str(how.debias),
        "feedback": how.feedback,
        "late": how.late,
        "in_context": how.in_context,
        "fair": "balanced" if how.balanced else "none",
        "relevant_from": how.relevant_from,
    }


def _write_report(result: Evaluation, data: Benchmark | None, folder: Path, resamples: int) -> None:
    from isoglot.studies.report import StudyReport, write_report

    facts = StudyReport(
        data,
        [(result.model, None, result)],
        (),
        trained_languages=result.trained or (),
        resamples=resamples,
        top={} if result.top is None else {result.model: result.top},
    )
    write_report(facts, folder)


def _shown(result: Evaluation, folder: Path) -> str:
    from isoglot.studies.report import render_evaluation

    notes = "".join(f"\nnote: {note}" for note in result.notes)
    return f"{render_evaluation(result)}{notes}\n\nwritten to {folder}"
