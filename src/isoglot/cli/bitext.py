"""`isoglot data from-bitext`: turn translation memories and translators' files into rows for cross-lingual batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from isoglot.cli.options import Names, OutputFile, Switch
from isoglot.cli.row_files import counted, new_rows
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.data.rows import Row


def from_bitext(
    *files: str,
    output: OutputFile,
    langs: Names = (),
    keep: Names = (),
    pivot: str = "en",
    dataset: str = "bitext",
    fuzzy: Switch = False,
    overwrite: Switch = False,
) -> None:
    """Turn TMX, XLIFF, gettext PO, TSV and Moses files into rows that serve cross-lingual batches only.

    Args:
        files: .tmx, .xlf, .xliff, .po or .tsv (also .gz or .zip), or files aligned line by line as LANG=FILE.
        output: Rows file to write (.jsonl or .jsonl.gz).
        langs: Languages of files that do not name them, source first: of Moses files in order, of the columns of a
            TSV without a header, of a PO file.
        keep: Comma-separated languages to keep.
        pivot: Language whose texts join segments of several files.
        dataset: Name of the data set.
        fuzzy: Keep segments that are marked as fuzzy or in need of translation.
        overwrite: Replace an existing file.
    """
    from isoglot.data.readers.bitext.files import read_units
    from isoglot.data.readers.bitext.rows import bitext_rows
    from isoglot.data.readers.bitext.units import Notes, Wanted
    from isoglot.data.rows import write_rows

    new_rows(output, overwrite)
    notes = Notes()

    def rows() -> Iterator[Row]:
        found = False
        for row in bitext_rows(read_units(files, Wanted(langs, fuzzy), notes), notes, dataset, pivot, keep):
            found = True
            yield row
        notes.problems.raise_if_any("Fix or remove these files; docs/bitext.md lists the formats.")
        if not found:
            reasons = "; ".join(f"{number} {reason}" for reason, number in notes.left_out.most_common())
            raise InputError(f"{', '.join(files)}: no text with a translation ({reasons or 'no segments'})")

    count = write_rows(counted(rows()), output)
    print(f"{count} rows in {output}")
    for reason, number in notes.left_out.most_common():
        print(f"left out: {number} {reason}")
