"""`isoglot compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from isoglot.cli.options import Names, Switch
from isoglot.core.errors import InputError


def compare(
    *runs: str,
    output_dir: Annotated[Path | None, Parameter(name=["--output-dir", "-o"])] = None,
    measures: Names = (),
    resamples: int = 10_000,
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
        overwrite: Replace what the folder holds.
        as_json: Print comparison.json instead of the text.
    """
    from isoglot.core.files import claim_folder, without_nan, write_json, write_text
    from isoglot.measuring.comparing import compare as differences
    from isoglot.measuring.comparing import load_runs, parse_measures, stacked
    from isoglot.studies.report.comparison import comparison_record, render_comparison

    if resamples < 2:
        raise InputError("--resamples wants at least 2")
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
    print(json.dumps(without_nan(record), ensure_ascii=False) if as_json else text, end="\n" if as_json else "")
