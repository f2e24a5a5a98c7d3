"""`isoglot data`: prepare and describe parallel rows."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from isoglot.cli.help_page import DEFAULTS
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, OutputDir, Switch
from isoglot.core.errors import InputError
from isoglot.data.opening import open_rows

app = App(
    name="data",
    help="Parallel rows: convert, check, mine negatives, prepare, describe.",
    help_format="plaintext",
    default_parameter=DEFAULTS,
)


@app.command
def prepare(
    *rows: Path,
    output_dir: OutputDir,
    langs: str | None = None,
    overwrite: Switch = False,
    quiet: Switch = False,
) -> None:
    """Check rows and lay them out for training (training does this by itself when given plain rows).

    Args:
        rows: Row files (.jsonl, .jsonl.gz, .parquet).
        output_dir: Folder to write.
        langs: Comma-separated languages to keep.
        overwrite: Replace what the folder holds.
        quiet: No progress bar.
    """
    from isoglot.core.output_folders import claimed_folder
    from isoglot.data.prepared import prepare as lay_out

    if len(rows) == 1 and (rows[0] / "rows.arrow").is_file():
        raise InputError(f"{rows[0]}: already prepared; use the folder wherever rows are expected, or copy it")
    with claimed_folder(output_dir, overwrite=overwrite) as folder:
        prepared = lay_out(rows, folder, langs=langs, show_progress=not quiet)
    print(
        f"{len(prepared)} rows, {prepared.table.groups} groups, {len(prepared.table.languages)} languages in {folder}"
    )


@app.command
def show(
    *rows: Path,
    langs: str | None = None,
    as_json: Json = False,
) -> None:
    """Describe rows: languages, groups, pairs for each language pair, duplicates, lengths.

    Args:
        rows: Row files, or one prepared folder.
        langs: Comma-separated languages to keep.
        as_json: Print the facts as JSON.
    """
    from isoglot.data.description import describe, render

    facts = describe(open_rows(rows, langs=langs))
    print(json_line(facts) if as_json else render(facts))
