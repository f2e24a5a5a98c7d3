"""The rows of a run, prepared only once: a resumed run and the other processes reuse them and their tokens."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.data.prepared import Prepared, open_prepared, prepare
from isoglot.languages.table import given_codes

_MADE_FROM = "made_from.json"


def run_rows(rows: Any, home: Path, langs: str | Iterable[str] | None = None) -> Prepared:
    """Open prepared rows, or prepare row files into `home` unless it holds them already; rows in memory are cached.

    Args:
        rows: anything that `isoglot.data.prepare` takes.
        home: a folder of the run.
        langs: keep only these languages.

    Raises:
        InputError: as for `prepare`.
    """
    files, codes = _files(rows), given_codes(langs)
    if files is None:
        return prepare(rows, langs=codes)
    kept = None if codes is None else list(codes)
    stats = [path.stat() for path in files]
    made_from = {
        "files": [
            [str(path.resolve()), stat.st_size, stat.st_mtime_ns] for path, stat in zip(files, stats, strict=True)
        ],
        "langs": kept,
    }
    mark = home / _MADE_FROM
    try:
        if mark.is_file() and read_json(mark) == made_from:
            return open_prepared(home)
    except InputError:
        pass  # truncated by a crash of the machine, or half removed when a finished run was killed
    # The marker goes first, so that a stale one never describes new rows.
    shutil.rmtree(home, ignore_errors=True)
    prepared = prepare(files, home, langs=kept)
    write_json(mark, made_from)
    return prepared


def places_of(rows: Any) -> list[str] | None:
    """Return the paths of rows given as files or a prepared folder; None for rows in memory."""
    if isinstance(rows, Prepared):
        return [str(rows.folder)]
    given = [rows] if isinstance(rows, (str, Path)) else rows
    named = isinstance(given, (list, tuple)) and bool(given) and all(isinstance(entry, (str, Path)) for entry in given)
    return [str(entry) for entry in given] if named else None


def _files(rows: Any) -> list[Path] | None:
    """Return the paths of row files; None for any other kind of rows."""
    places = None if isinstance(rows, Prepared) else places_of(rows)
    paths = [Path(place) for place in places or ()]
    return paths if paths and all(path.is_file() for path in paths) else None
