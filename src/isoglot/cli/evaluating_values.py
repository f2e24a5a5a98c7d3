"""Parse values of `isoglot evaluate`'s flags: sizes of memory, and runs by language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from isoglot.core.errors import InputError


def parse_memory(text: str) -> int:
    """Parse a size such as 500MB, 2GB or 1.5GiB into bytes.

    >>> parse_memory("2GB")
    2000000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    size = 0.0
    if match is not None:
        size = float(match[1]) * (1024 if match[3] else 1000) ** " KMGT".index(match[2].upper() or " ")
    if size < 1_000_000:
        raise InputError(f"--memory {text!r}: expected a size of at least 1MB, such as 500MB or 8GB")
    return int(size)


def parse_runs(texts: Sequence[Path]) -> Path | dict[str, Path] | None:
    """Parse the values of `--run` into one file, or files by query language.

    >>> parse_runs((Path("de=a.run"), Path("en=b.run")))
    {'de': PosixPath('a.run'), 'en': PosixPath('b.run')}
    """
    from isoglot.languages.codes import known_code

    if not texts:
        return None
    split = [(text, *str(text).partition("=")) for text in texts]
    named = {
        known_code(lang) or lang: Path(place) for text, lang, equals, place in split if equals and not text.is_file()
    }
    if not named and len(texts) == 1:
        return texts[0]
    if len(named) < len(texts):
        given = ",".join(map(str, texts))
        raise InputError(f"--run {given}: give one file, or LANG=FILE once for each query language")
    return named
