"""Row files that verbs read and write: checks of their names, and a progress counter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.cli.options import new_file
from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.data.rows import Row


def new_rows(path: Path, overwrite: bool, *, beside: dict[str, Path | None] | None = None) -> Path:
    """Return the path of a rows file to write, after checking that it can be written and has the name of a rows file.

    Args:
        path: the rows file.
        overwrite: whether existing files may be replaced.
        beside: other files that are written, by their flag.

    Raises:
        InputError: a file exists or cannot be created, the name is not that of a rows file, or two files are the same.
    """
    from isoglot.data.rows import require_rows_name

    others = {flag: other for flag, other in (beside or {}).items() if other is not None}
    require_rows_name(path)
    for file in (path, *others.values()):
        new_file(file, overwrite)
    taken = {path.resolve(): "--output"}
    for flag, other in others.items():
        if other.resolve() in taken:
            raise InputError(f"{flag} {other}: {taken[other.resolve()]} is written there; give another file")
        taken[other.resolve()] = flag
    return path


def refuse_input(output: Path, inputs: Iterable[Path]) -> None:
    """Check that the output, which holds new rows only, does not replace an input.

    Raises:
        InputError: the output is one of the inputs.
    """
    if output.resolve() in {path.resolve() for path in inputs}:
        raise InputError(f"--output {output}: is an input file, and only new rows are written; give another file")


def rows_in(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the rows of files, or of one prepared folder."""
    from isoglot.curation.rewriting import rows_of
    from isoglot.data.prepared import open_prepared
    from isoglot.data.rows import read_rows

    if len(paths) == 1 and paths[0].is_dir():
        return rows_of(open_prepared(paths[0]))
    return (row for _, _, row in read_rows(paths))


def counted(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows, counting them in a progress bar."""
    from isoglot.core.progress import Progress

    with Progress("rows") as progress:
        for row in rows:
            yield row
            progress.advance()
