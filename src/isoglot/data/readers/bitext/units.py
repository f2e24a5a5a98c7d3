"""A text with its translations, and what is counted on the way to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from isoglot.core.problems import Problems


class Unit(NamedTuple):
    """One text in several languages, by code, with the file and (1-based) line or number it came from."""

    texts: dict[str, str]
    file: str
    number: int


@dataclass
class Notes:
    """What a reader met: problems that stop the command, and segments that were left out, by reason."""

    problems: Problems = field(default_factory=Problems)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Wanted:
    """Which segments count.

    Attributes:
        langs: of files that do not name their languages (Moses, TSV, PO without a header): source first.
        unfinished: keep segments that translators marked as fuzzy, new or in need of translation.
        header: whether a TSV file begins with the names of its columns.
    """

    langs: tuple[str, ...] = ()
    unfinished: bool = False
    header: bool = True
