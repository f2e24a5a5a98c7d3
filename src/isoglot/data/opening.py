"""Opening rows as a command is given them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.data.prepared import Prepared


def open_rows(
    rows: Any, folder: Path | str | None = None, langs: str | None = None, *, quiet: bool = False
) -> Prepared:
    """Open a prepared folder, or prepare whatever else `prepare` takes.

    Args:
        rows: as of `isoglot.data.prepare`.
        folder: where prepared files go; the cache when None.
        langs: comma-separated languages to keep.
        quiet: no progress bar.

    Raises:
        InputError: as `prepare`.
    """
    from isoglot.data.prepared import prepare

    if isinstance(rows, (list, tuple)) and not rows:
        raise InputError("no rows given; name row files (.jsonl, .jsonl.gz, .parquet) or a prepared folder")
    return prepare(rows, folder, langs=codes_of(langs), show_progress=not quiet)


def codes_of(langs: str | None) -> tuple[str, ...] | None:
    """The codes of a comma-separated list."""
    return None if langs is None else tuple(code.strip() for code in langs.split(",") if code.strip())
