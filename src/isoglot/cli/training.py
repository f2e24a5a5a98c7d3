"""`isoglot train`, `isoglot study` and `isoglot quickstart`: train models, and compare regimes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from cyclopts import Parameter

from isoglot.cli.benchmarks import BenchmarkName, open_benchmark
from isoglot.cli.help_page import MODEL, TRAINING
from isoglot.cli.options import Fractions, Json, Names, Numbers, OutputDir, Paths, StudySampling, StudyTraining, Switch
from isoglot.cli.serving import PORT, check_serving, serve_quickstart
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows
from isoglot.encoders.options import LoadOptions
from isoglot.studies.settings import StudySettings
from isoglot.training.sampling.regimes import sweep
from isoglot.training.settings import BATCHES, TrainSettings


def train(
    *,
    rows: Paths,
    output_dir: OutputDir,
    model: str = "embedded",
    langs: str | None = None,
    settings: Annotated[TrainSettings | None, Parameter(name="*", group=TRAINING)] = None,
    options: Annotated[LoadOptions | None, Parameter(name="*", group=MODEL)] = None,
    overwrite: Switch = False,
    resume: Switch = False,
) -> None:
    """Fine-tune an encoder under one regime; the result is a plain Sentence Transformers folder.

    Args:
        rows: Row files, or a prepared folder.
        output_dir: Folder for the model, run.json and training.jsonl.
        model: embedded, a Sentence Transformers folder, or a Hub id (id@revision).
        langs: Comma-separated languages to train on.
        settings: How to train.
        options: How the model is opened.
        overwrite: Replace what the folder holds.
        resume: Continue from the last complete checkpoint.
    """
    from isoglot.encoders.model_names import locate

    if not rows:
        raise InputError("no rows given; name row files (.jsonl, .jsonl.gz, .parquet) or a prepared folder")
    locate(model)

    from isoglot.training.processes import rank
    from isoglot.training.run import train as run

    try:
        run(
            model,
            rows,
            output_dir,
            settings or TrainSettings(),
            langs=langs,
            resume=resume,
            overwrite=overwrite,
            options=options,
        )
    except KeyboardInterrupt as error:
        raise _interrupted(output_dir) from error
    if rank() == 0:
        print(f"model in {output_dir}")


def study(
    *,
    rows: Paths,
    output_dir: OutputDir,
    model: str = "embedded",
    benchmark: BenchmarkName = "xquad-r",
    data_dir: Path | None = None,
    benchmark_rows: Paths = (),
    langs: str | None = None,
    train_langs: str | None = None,
    regimes: Names = ("x-x-mono", "hybrid"),
    alpha: Fractions = (0.5,),
    seeds: Numbers = (0,),
    sampling: Annotated[StudySampling | None, Parameter(name="*", group=BATCHES)] = None,
    training: Annotated[StudyTraining | None, Parameter(name="*", group=TRAINING)] = None,
    options: Annotated[LoadOptions | None, Parameter(name="*", group=MODEL)] = None,
    length: int | None = None,
    resamples: int = 10_000,
    allow_overlap: Switch = False,
    discard_models: Switch = False,
    no_examples: Switch = False,
    overwrite: Switch = False,
    as_json: Json = False,
    offline: Switch = False,
) -> None:
    """Compare regimes: measure the base model, then train and measure each regime with each seed.

    Give a recipe as the first argument (isoglot study RECIPE.toml); flags win over it. Killed, the same command goes
    on at the run where it was.

    Args:
        rows: Row files to train on, or a prepared folder.
        output_dir: Folder for the runs, report.html (also .md, .csv, .tex), figures and study.json.
        model: embedded, a Sentence Transformers folder, or a Hub id (id@revision).
        benchmark: Benchmark to measure on, as in isoglot evaluate; rows needs --benchmark-rows.
        data_dir: Folder of the benchmark; xquad-r and mlqa-r are downloaded to the cache when not given.
        benchmark_rows: Row files to measure on.
        langs: Comma-separated languages to measure, for queries and candidates alike.
        train_langs: Comma-separated languages to train on.
        regimes: Comma-separated regimes, such as x-x-mono,x-y,hybrid-0.5.
        alpha: Probability that a hybrid batch is monolingual; several (0,0.25,0.5,0.75,1) make hybrid a sweep, whose
            ends are x-y and x-x-mono.
        seeds: Comma-separated seeds; each regime is trained once with each.
        sampling: How batches are drawn.
        training: How to train.
        options: How the model is opened.
        length: Tokens kept of queries and passages when measuring; the model's preset when not given.
        resamples: Bootstrap resamples.
        allow_overlap: Continue although training rows also occur in the benchmark.
        discard_models: Keep the results only, not the trained models.
        no_examples: Leave queries and passages of the benchmark out of the report.
        overwrite: Replace what the folder holds instead of continuing it.
        as_json: Print study.json instead of the report.
        offline: Never download anything.
    """
    from isoglot.encoders.loading import quiet_libraries
    from isoglot.encoders.model_names import locate

    sampling = sampling or StudySampling()
    settings = StudySettings(
        model=model,
        regimes=sweep(regimes, alpha, sampling.alpha_schedule),
        seeds=seeds,
        train=replace(_plain(training), sampling=sampling),
        length=length,
        options=options or LoadOptions(),
        allow_overlap=allow_overlap,
        keep_models=not discard_models,
        resamples=resamples,
        examples=not no_examples,
    )
    inputs = {
        "rows": [str(path) for path in rows],
        "train_langs": train_langs,
        "benchmark": benchmark,
        "data_dir": None if data_dir is None else str(data_dir),
        "benchmark_rows": [str(path) for path in benchmark_rows],
        "langs": langs,
    }
    quiet_libraries()
    with TemporaryDirectory(prefix="isoglot-") as scratch:
        # Cached by content, so that the same command continues with these rows and token ids.
        prepared = open_rows(rows, langs=train_langs)
        chosen = open_benchmark(benchmark, data_dir, benchmark_rows, langs, Path(scratch), offline=offline)
        locate(model)
        from isoglot.studies.run import study as run

        result = run(prepared, chosen, output_dir, settings, inputs=inputs, overwrite=overwrite)
    folder = result.folder
    print((folder / "study.json").read_text(encoding="utf-8") if as_json else f"{result.report}\nwritten to {folder}")


def quickstart(
    *,
    output_dir: OutputDir = Path("runs/quickstart"),
    max_steps: int | None = None,
    seeds: Numbers = (0,),
    overwrite: Switch = False,
    serve: Switch = False,
    port: int = PORT,
) -> None:
    """Run the whole study on the embedded model and corpus: base, x-x-mono, hybrid (some minutes on two cores).

    Args:
        output_dir: Folder for the runs and the report; after an interruption, the same command continues there.
        max_steps: Steps of each training; the embedded recipe's by default.
        seeds: Comma-separated seeds.
        overwrite: Replace what the folder holds, as after a run with other steps.
        serve: Then serve its corpus on this machine, base and hybrid side by side, until Ctrl-C.
        port: Port to serve on; 0 takes any free one.
    """
    from isoglot.encoders.loading import quiet_libraries

    if serve:
        check_serving(port)
    quiet_libraries()
    from isoglot.studies.atlas_study import quickstart as run_quickstart

    result = run_quickstart(output_dir, max_steps=max_steps, seeds=seeds, overwrite=overwrite)
    print(f"{result.summary}\n\nThe report: {result.study.folder / 'report.html'}", flush=True)
    if serve:
        serve_quickstart(result.study, port=port)


def _interrupted(folder: Path) -> KeyboardInterrupt:
    """Return the interruption, whose message names the checkpoint to resume from, if any."""
    from isoglot.training.checkpoints import CHECKPOINTS, complete_checkpoints

    kept = complete_checkpoints(folder / CHECKPOINTS)
    if not kept:
        return KeyboardInterrupt()
    step = kept[-1].name.rpartition("-")[2]
    return KeyboardInterrupt(f"run the same command with --resume to continue from checkpoint {step}")


def _plain(training: StudyTraining | None) -> TrainSettings:
    """Return a study's settings as plain training settings."""
    from dataclasses import fields

    given = training or StudyTraining()
    return TrainSettings(**{entry.name: getattr(given, entry.name) for entry in fields(TrainSettings)})
