"""The types shared by bitext readers: translation units, notes on what was read, and options."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from isoglot.core.problems import Problems


class Unit(NamedTuple):
    """One text in several languages (code -> text), and its origin: the file and the 1-based line or unit number."""

    texts: dict[str, str]
    file: str
    number: int


@dataclass
class Notes:
    """What happened while reading: problems, which make the command fail, and counts of omitted segments by reason."""

    problems: Problems = field(default_factory=Problems)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Wanted:
    """Options for reading bitext.

    Attributes:
        langs: languages of files that do not name them (Moses, TSV, PO without a header), source first.
        unfinished: keep segments that translators marked as fuzzy, new or in need of translation.
    """

    langs: tuple[str, ...] = ()
    unfinished: bool = False
