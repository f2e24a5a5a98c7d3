"""Resolve ids given for deletion."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from isoglot.core.errors import InputError


def resolve_ids(
    typed: Iterable[str], there: Container[str], exactly: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the ids that exist, and those that do not.

    Args:
        typed: ids as typed; an entry that is not an existing id is split at commas.
        there: ids of all documents.
        exactly: ids taken literally, commas included.

    >>> resolve_ids(["a,b", "c,d", "e"], {"a,b", "a", "c"}, exactly=["a,c"])
    (['a,b', 'c'], ['d', 'e', 'a,c'])
    """
    known: list[str] = []
    unknown: list[str] = []
    for entry in typed:
        parts = [entry] if entry in there else [part.strip() for part in entry.split(",") if part.strip()]
        for part in parts:
            (known if part in there else unknown).append(part)
    for entry in exactly:
        (known if entry in there else unknown).append(entry)
    return known, unknown


def read_ids(path: Path) -> list[str]:
    """Read the ids in a file, one per line, each taken literally.

    Raises:
        InputError: no such file, not UTF-8, or empty.
    """
    try:
        # Split at line feeds only (carriage returns are translated): ids may hold other Unicode line separators.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}); write one id a line") from error
    ids = [line for line in lines if line.strip()]
    if not ids:
        raise InputError(f"{path}: no ids; write one a line")
    return ids
