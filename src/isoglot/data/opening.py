"""Open the rows that a command is given."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isoglot.core.errors import InputError

if TYPE_CHECKING:
    from isoglot.data.prepared import Prepared


def open_rows(
    rows: Any, folder: Path | str | None = None, langs: str | Iterable[str] | None = None, *, quiet: bool = False
) -> Prepared:
    """Open a prepared folder, or prepare any other input that `prepare` accepts.

    Args:
        rows: as for `isoglot.data.prepare`.
        folder: where prepared files go; the cache if None.
        langs: language codes to keep: several, or one text with commas.
        quiet: show no progress bar.

    Raises:
        InputError: as for `prepare`, or an empty list.
    """
    from isoglot.data.prepared import prepare

    if isinstance(rows, (list, tuple)) and not rows:
        raise InputError("no rows given; name row files (.jsonl, .jsonl.gz, .parquet) or a prepared folder")
    return prepare(rows, folder, langs=langs, show_progress=not quiet)
