"""Which documents are meant where ids are given for deletion."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

from isoglot.core.errors import InputError


def resolve_ids(given: Iterable[str], there: Container[str]) -> tuple[list[str], list[str]]:
    """Ids that are there, and those that are not.

    An id is taken as it is; one that is not there and holds commas is a list of ids.

    >>> resolve_ids(["a,b", "c,d", "e"], {"a,b", "a", "c"})
    (['a,b', 'c'], ['d', 'e'])
    """
    known: list[str] = []
    unknown: list[str] = []
    for entry in given:
        parts = [entry] if entry in there else [part.strip() for part in entry.split(",") if part.strip()]
        for part in parts:
            (known if part in there else unknown).append(part)
    return known, unknown


def read_ids(path: Path) -> list[str]:
    """The ids of a file, one a line, each taken as it is.

    Raises:
        InputError: no such file, not UTF-8, or empty.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}); write one id a line") from error
    ids = [line for line in lines if line.strip()]
    if not ids:
        raise InputError(f"{path}: no ids; write one a line")
    return ids
