"""Opening rows however they are given."""

from __future__ import annotations

from pathlib import Path

from isoglot.core.errors import InputError


def open_rows(paths: tuple[Path, ...], scratch: Path, langs: str | None = None, *, quiet: bool = False):  # type: ignore[no-untyped-def]
    """Open a prepared folder, or prepare row files into `scratch`."""
    from isoglot.data.prepared import open_prepared
    from isoglot.data.prepared import prepare as lay_out

    if not paths:
        raise InputError("no rows given; name row files (.jsonl, .jsonl.gz, .parquet) or a prepared folder")
    if len(paths) == 1 and paths[0].is_dir():
        if langs is not None:
            raise InputError(f"{paths[0]}: --langs wants row files; prepare again with --langs to restrict a folder")
        return open_prepared(paths[0])
    return lay_out(paths, scratch, langs=_codes(langs), show_progress=not quiet)


def _codes(langs: str | None) -> tuple[str, ...] | None:
    return None if langs is None else tuple(code.strip() for code in langs.split(",") if code.strip())
