"""Train, evaluate and compare regimes x seeds on one benchmark; an interrupted study resumes at the unfinished run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from isoglot.core.arguments import check_kind
from isoglot.core.output_folders import claimed_folder
from isoglot.core.progress import progress_line
from isoglot.core.run_record import device_name, read_run, require_same, write_run
from isoglot.core.short_repr import brief
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.benchmarks.overlap import overlap, refuse_overlap
from isoglot.data.prepared import Prepared, prepare
from isoglot.encoders.loading import load
from isoglot.encoders.options import LoadOptions
from isoglot.encoders.weights_files import model_checksum
from isoglot.measuring.comparing import Comparison, compare, stacked
from isoglot.measuring.evaluating import evaluate, trained_languages
from isoglot.measuring.evaluation import Evaluation, load_evaluation
from isoglot.measuring.inputs import opened_benchmark
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.top10 import load_hits
from isoglot.studies.report import StudyReport, headline_rows, summary, write_report
from isoglot.studies.report.words import figure
from isoglot.studies.settings import StudySettings
from isoglot.training.rows import places_of
from isoglot.training.run import train
from isoglot.training.sampling.regimes import parse_regime
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.settings import TrainSettings, flat_settings

BASE = "base"
_PRINTED = 6  # regimes in a study's repr


@dataclass(frozen=True)
class Run:
    """One evaluated model: a regime and its seed (None for the untrained base model)."""

    regime: str
    seed: int | None
    evaluation: Evaluation

    __repr__ = brief


@dataclass(frozen=True)
class Study:
    """All runs of a study and the differences between them.

    Attributes:
        runs: the untrained base model, then every regime with every seed.
        comparisons: of every regime with those before it.
        report: as Markdown.
        rows: one row per regime, with its headline figures.
        folder: the output folder.
    """

    runs: list[Run]
    comparisons: list[Comparison]
    report: str
    rows: list[list[str]]
    folder: Path

    def __repr__(self) -> str:
        more = [f"... ({len(self.rows)} regimes)"] if len(self.rows) > _PRINTED else []
        table = summary(self.rows[:_PRINTED]).splitlines()
        return "\n  ".join([f"<Study in {self.folder}: {len(self.runs)} runs", *table, *more]) + ">"


def study(
    rows: Any,
    benchmark: Benchmark | str | Path,
    folder: Path | str,
    settings: StudySettings | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Study:
    """Evaluate the base model, train and evaluate every regime with every seed, and write a report.

    Args:
        rows: training rows, prepared or anything that `isoglot.prepare` accepts.
        benchmark: the benchmark for every run, or a name or path that `isoglot.load_benchmark` opens.
        folder: output folder, created if missing; complete runs of a study in it are kept.
        settings: what to compare.
        inputs: where rows and benchmark came from, recorded in `run.json`; derived from the arguments when None.
        overwrite: replace what the folder holds instead.

    Returns:
        The study. The folder contains the report (`report.html`, `.md`, `.csv`, `.tex`, `figures`), `study.json`,
        `run.json`, and one folder per run in `runs`.

    Raises:
        InputError: the benchmark contains training rows, settings do not fit the rows, rows or benchmark cannot be
            read, an argument has the wrong type, or the folder holds files that isoglot did not make or is in use by
            another process.

    Example:
        With `encoder` as a model's folder or name and `folder` as a `pathlib.Path`:

        >>> from isoglot import load_benchmark, prepare, study
        >>> from isoglot.studies import StudySettings
        >>> from isoglot.training import TrainSettings
        >>> def rows_about(things):
        ...     return [
        ...         {"group": thing, "lang": lang, "query": f"{lang}: {thing}?", "passage": f"{lang}: {thing}."}
        ...         for thing in things
        ...         for lang in ("de", "en")
        ...     ]
        >>> rows = prepare(rows_about(["sun", "moon", "sea", "wind", "snow", "rain"]), show_progress=False)
        >>> benchmark = load_benchmark("rows", rows=rows_about(["oak", "ash", "elm"]))
        >>> training = TrainSettings(batch_size=2, max_steps=2, warmup_steps=1, precision="fp32", device="cpu")
        >>> settings = StudySettings(model=str(encoder), regimes=("hybrid",), train=training, resamples=50)
        >>> found = study(rows, benchmark, folder / "study", settings)
        >>> [run.regime for run in found.runs], (folder / "study" / "report.html").is_file()
        (['base', 'hybrid-0.5'], True)
    """
    if settings is not None:
        check_kind("settings", settings, StudySettings, "a StudySettings of isoglot.studies")
    check_kind("folder", folder, (str, Path), "the output folder, as text or a path")
    places = places_of(rows)
    rows, benchmark = prepare(rows), opened_benchmark(benchmark)
    if inputs is None:
        inputs = {"rows": places, "benchmark": benchmark.name}
    with claimed_folder(Path(folder), overwrite=overwrite, resume=not overwrite) as claimed:
        return _study(rows, benchmark, claimed, settings or StudySettings(), dict(inputs))


def _study(
    rows: Prepared, benchmark: Benchmark, folder: Path, settings: StudySettings, inputs: dict[str, Any]
) -> Study:
    started = time.perf_counter()
    found = overlap(rows, benchmark)
    if not settings.allow_overlap:
        refuse_overlap(found, benchmark.name)
    plan = _plan(settings, rows)
    runs = []
    top = {}
    for number, (regime, seed, training) in enumerate(plan, 1):
        label = regime if seed is None else f"{regime}, seed {seed}"
        counter = f"[{number}/{len(plan)}]"
        runs.append(Run(regime, seed, _run(rows, benchmark, folder, settings, label, counter, training)))
        hits = None if regime in top else load_hits(_home(folder, label), benchmark)
        if hits is not None:
            top[regime] = hits
    progress_line("comparing runs")
    comparisons = compare(stacked([(run.regime, run.evaluation) for run in runs]), resamples=settings.resamples)
    seconds = time.perf_counter() - started
    trained = {code for run in runs[1:] for code in run.evaluation.trained or rows.table.languages}
    facts = StudyReport(
        benchmark=benchmark,
        runs=[(run.regime, run.seed, run.evaluation) for run in runs],
        comparisons=comparisons,
        settings={"model": settings.model, **flat_settings(settings.train)},
        trained_languages=tuple(sorted(trained)),
        groups=rows.table.groups,
        rows=len(rows),
        overlap=found,
        seeds=settings.seeds,
        resamples=settings.resamples,
        top=top,
    )
    report = write_report(facts, folder, with_examples=settings.examples)
    write_run(
        folder,
        "study",
        _facts(settings),
        data={"rows": rows.checksum, "benchmark": benchmark.checksum},
        seed=None,
        device=device_name(settings.train.device),
        seconds=seconds,
        inputs=inputs,
    )
    return Study(runs, comparisons, report, headline_rows(facts), folder)


def _plan(settings: StudySettings, rows: Prepared) -> list[tuple[str, int | None, TrainSettings | None]]:
    """Return the name, seed and training of each run, the base model first.

    Raises:
        InputError: the rows cannot fill a regime's batches; known now, not after the runs before it have finished.
    """
    plan: list[tuple[str, int | None, TrainSettings | None]] = [(BASE, None, None)]
    for seed in settings.seeds:
        for text in settings.regimes:
            sampling = parse_regime(text, settings.train.sampling)
            HybridBatchSampler(rows.table, sampling, settings.train.batch_size)
            plan.append((sampling.name, seed, replace(settings.train, sampling=sampling, seed=seed)))
    return plan


def _run(
    rows: Prepared,
    benchmark: Benchmark,
    folder: Path,
    settings: StudySettings,
    label: str,
    counter: str,
    train_settings: TrainSettings | None,
) -> Evaluation:
    """Train (unless it is the base) and evaluate one run, or load it if it is already complete."""
    home = _home(folder, label)
    facts = {
        "model": settings.model,
        "weights": model_checksum(settings.model).get("model"),
        "rows": rows.checksum if train_settings else None,
        "benchmark": benchmark.checksum,
        "length": settings.length,
        "train": flat_settings(train_settings) if train_settings else None,
        **settings.options.record(),
    }
    done = read_run(home)
    if done is not None:
        # Earlier releases did not record the weights.
        require_same(home, {"weights": facts["weights"], **_flat(done.get("settings", {}))}, _flat(facts))
        progress_line(f"{counter} {label}: done before")
        return load_evaluation(home)
    home.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    model = settings.model
    if train_settings is not None:
        progress_line(f"{counter} {label}: training {train_settings.max_steps} steps of {train_settings.batch_size}")
        (home / "model").mkdir(exist_ok=True)
        model = str(train(settings.model, rows, home / "model", train_settings, resume=True, options=settings.options))
    progress_line(f"{counter} {label}: measuring on {benchmark.name} ({len(benchmark.languages)} languages)")
    result = _measure(model, benchmark, label, settings)
    result.save(home, benchmark)
    if train_settings is not None and not settings.keep_models:
        shutil.rmtree(home / "model")
    seed = train_settings.seed if train_settings else None
    device = settings.train.device
    write_run(
        home,
        "study",
        facts,
        data={"rows": rows.checksum, "benchmark": benchmark.checksum},
        seed=seed,
        device=device_name(device),
        seconds=time.perf_counter() - started,
    )
    mono, cross, pool = (figure(result.macro(setting, "map")) for setting in (MONO, CROSS, POOL))
    distance = figure(result.macro(POOL, "rank_distance"), ".0f")
    progress_line(f"{counter} {label}: mAP mono {mono}, cross {cross}, pool {pool}, rank distance {distance}")
    return result


def _measure(model: str, benchmark: Benchmark, label: str, settings: StudySettings) -> Evaluation:
    options = settings.options
    if model != settings.model:  # a trained model's folder records its prompts and dtype
        options = LoadOptions(trust_remote_code=options.trust_remote_code, model_kwargs=options.model_kwargs)
    encoder = load(model, device=settings.train.device, **options.arguments())
    return evaluate(
        encoder,
        benchmark,
        name=label,
        length=settings.length,
        precision=settings.train.precision,
        trained=trained_languages(model),
    )


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """Flatten a run's facts: move those of its training to the top level."""
    return {**{name: value for name, value in facts.items() if name != "train"}, **(facts.get("train") or {})}


def _home(folder: Path, label: str) -> Path:
    return folder / "runs" / label.replace(", seed ", "-seed")


def _facts(settings: StudySettings) -> dict[str, Any]:
    values = asdict(settings)
    for name in ("train", "options"):
        values.pop(name)
    return {**values, **settings.options.record(), **flat_settings(settings.train)}
