"""`isoglot compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from isoglot.cli.json_output import json_line
from isoglot.cli.options import Names, Switch
from isoglot.core.errors import InputError


def compare(
    *runs: str,
    output_dir: Annotated[Path | None, Parameter(name=["--output-dir", "-o"])] = None,
    measures: Names = (),
    resamples: int = 10_000,
    report: Switch = False,
    overwrite: Switch = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Compare runs on one benchmark: differences with paired intervals, per language, family and script.

    Args:
        runs: Folders of isoglot evaluate or isoglot study, the reference first; NAME=FOLDER names one, and folders of
            one name are seeds of one training.
        output_dir: Folder for comparison.md and comparison.json.
        measures: Comma-separated, such as monolingual.ndcg@10,multilingual.map; the headline figures when not given.
        resamples: Of the bootstrap.
        report: Also write the report of a study (HTML, Markdown, CSV, LaTeX, pictures), into the folder's report.
        overwrite: Replace what the folder holds.
        as_json: Print comparison.json instead of the text.
    """
    from isoglot.core.files import claim_folder, write_json, write_text
    from isoglot.measuring.comparing import compare as differences
    from isoglot.measuring.comparing import load_runs, parse_measures, stacked
    from isoglot.studies.report import StudyReport, write_report
    from isoglot.studies.report.comparison import comparison_record, render_comparison

    if resamples < 2:
        raise InputError("--resamples wants at least 2")
    if report and output_dir is None:
        raise InputError("--report: name the folder it goes to with --output-dir")
    loaded = load_runs(runs)
    stacks = stacked(loaded)
    if len(stacks) < 2:
        raise InputError(f"all runs are named {stacks[0].regime}; give at least two to compare, as NAME=FOLDER")
    chosen = parse_measures(measures, stacks)
    found = differences(stacks, resamples=resamples, measures=chosen)
    text = render_comparison(loaded, stacks, found, chosen, resamples=resamples)
    record = comparison_record(loaded, found)
    if output_dir is not None:
        folder = claim_folder(output_dir, overwrite=overwrite)
        write_json(folder / "comparison.json", record)
        write_text(folder / "comparison.md", text)
        if report:
            # The report's own tables show the headline figures, whatever was asked for.
            shown = differences(stacks, resamples=resamples)
            runs_of = [(name, number, run) for number, (name, run) in enumerate(loaded)]
            trained = next((run.trained for _, run in reversed(loaded) if run.trained), ())
            seeds = tuple(range(max(len(next(iter(stack.matrices.values()))) for stack in stacks)))
            facts = StudyReport(None, runs_of, shown, trained_languages=trained, seeds=seeds, resamples=resamples)
            write_report(facts, folder / "report")
    print(json_line(record) if as_json else text, end="\n" if as_json else "")
