"""`isoglot compare`: compare runs on one benchmark."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from isoglot.cli.benchmarks import ComparedOn, Source, open_source
from isoglot.cli.help_page import BENCHMARK
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, Names, Switch
from isoglot.core.errors import InputError, IsoglotError

if TYPE_CHECKING:
    from isoglot.data.benchmarks.benchmark import Benchmark
    from isoglot.studies.report import StudyReport


def compare(
    *runs: str,
    output_dir: Annotated[Path | None, Parameter(name=["--output-dir", "-o"])] = None,
    measures: Names = (),
    resamples: int = 10_000,
    report: Switch = False,
    source: Annotated[ComparedOn | None, Parameter(name="*", group=BENCHMARK)] = None,
    no_examples: Switch = False,
    overwrite: Switch = False,
    as_json: Json = False,
) -> None:
    """Compare runs on one benchmark: differences with paired intervals, per language, family and script.

    Args:
        runs: Folders of isoglot evaluate or isoglot study, the reference first; NAME=FOLDER names one, and folders with
            the same name are seeds of one training.
        output_dir: Folder for comparison.md and comparison.json.
        measures: Comma-separated measures, such as monolingual.ndcg@10,multilingual.map; the headline measures when not
            given.
        resamples: Bootstrap resamples.
        report: Also write a report (HTML, Markdown, CSV, LaTeX, figures), to report/ in the output folder.
        source: The benchmark, whose texts and languages the report shows beside the top 10 of each run; as recorded in
            the runs when not given.
        no_examples: Leave queries and passages of the benchmark out of the report.
        overwrite: Replace what the folder holds.
        as_json: Print comparison.json instead of the text.
    """
    from isoglot.core.files import write_json, write_text
    from isoglot.core.output_folders import claimed_folder, refuse_own_input
    from isoglot.measuring.comparing import compare as differences
    from isoglot.measuring.comparing import parse_measures, run_folders, stacked
    from isoglot.measuring.evaluation import load_evaluation
    from isoglot.studies.report import StudyReport, write_report
    from isoglot.studies.report.comparison import comparison_record, render_comparison

    if resamples < 2:
        raise InputError("--resamples must be at least 2")
    if report and output_dir is None:
        raise InputError("--report: name the folder it goes to with --output-dir")
    if source is not None and source.benchmark and not report:
        raise InputError("--benchmark: the report shows its texts; give --report with it")
    named = run_folders(runs)
    loaded = [(name, load_evaluation(folder)) for name, folder in named]
    stacks = stacked(loaded)
    if len(stacks) < 2:
        raise InputError(f"all runs are named {stacks[0].regime}; give at least two to compare, as NAME=FOLDER")
    chosen = parse_measures(measures, stacks)
    found = differences(stacks, resamples=resamples, measures=chosen)
    text = render_comparison(loaded, stacks, found, chosen, resamples=resamples)
    record = comparison_record(loaded, found)
    if output_dir is not None:
        if overwrite:
            refuse_own_input(output_dir, (folder for _, folder in named))
        with claimed_folder(output_dir, overwrite=overwrite) as folder:
            write_json(folder / "comparison.json", record)
            write_text(folder / "comparison.md", text)
            if report:
                # The report's tables always show the headline measures, whatever --measures says.
                shown = differences(stacks, resamples=resamples)
                runs_of = [(name, number, run) for number, (name, run) in enumerate(loaded)]
                trained = next((run.trained for _, run in reversed(loaded) if run.trained), ())
                seeds = tuple(range(max(len(next(iter(stack.matrices.values()))) for stack in stacks)))
                facts = StudyReport(None, runs_of, shown, trained_languages=trained, seeds=seeds, resamples=resamples)
                write_report(_with_hits(facts, named, source), folder / "report", with_examples=not no_examples)
    print(json_line(record) if as_json else text, end="\n" if as_json else "")


def _with_hits(facts: StudyReport, named: list[tuple[str, Path]], source: ComparedOn | None) -> StudyReport:
    """Add the top 10 of each run to a report, if the benchmark and the hits are available."""
    from isoglot.measuring.per_query import POOL
    from isoglot.measuring.top10 import load_hits

    data = _benchmark(named[0][1], source)
    if data is None:
        return facts
    top: dict[str, Any] = {}
    for (name, folder), (_, _, result) in zip(named, facts.runs, strict=True):
        # Of several seeds show the first, as in a study; runs over each language separately have no common top 10.
        hits = load_hits(folder, data) if name not in top and (POOL, "map") in result.values else None
        if hits is not None:
            top[name] = hits
    return replace(facts, benchmark=data, top=top)


def _benchmark(folder: Path, source: ComparedOn | None) -> Benchmark | None:
    """Reopen the benchmark that the runs were measured on, as given by flags or recorded in the first run."""
    from isoglot.core.run_record import read_run
    from isoglot.data.benchmarks.benchmark import Benchmark as Opened

    record = read_run(folder) or {}
    given = source is not None and bool(source.benchmark)
    place = source if given and source is not None else _recorded(record.get("settings", {}))
    if place is None:
        _without(f"{folder}: run.json does not name the benchmark")
        return None
    try:
        with TemporaryDirectory(prefix="isoglot-") as scratch:
            data = open_source(place, Path(scratch))
    except IsoglotError as error:
        if given:
            raise
        _without(str(error))
        return None
    expected = record.get("data", {}).get("benchmark")
    if not isinstance(data, Opened):
        seen = "its passages are streamed, not in memory"
    elif expected not in (None, data.checksum):
        seen = "it holds other texts or judgements than the runs were measured on"
    else:
        return data
    if given:
        raise InputError(f"--benchmark {place.benchmark}: {seen}; give the one that the runs were measured on")
    _without(f"{place.benchmark}: {seen}")
    return None


def _recorded(settings: dict[str, Any]) -> Source | None:
    names = {"benchmark", "data_dir", "rows", "langs", "context", "subset", "split"}
    if not names <= set(settings):
        return None
    kept = {name: settings[name] for name in names if settings[name] is not None}
    if "data_dir" in kept:
        kept["data_dir"] = Path(kept["data_dir"])
    return Source(**{**kept, "rows": tuple(map(Path, kept.get("rows", ())))}, offline=True)


def _without(why: str) -> None:
    print(
        f"isoglot: the report has no top 10 ({why}); name the benchmark with --benchmark and --data-dir",
        file=sys.stderr,
    )
