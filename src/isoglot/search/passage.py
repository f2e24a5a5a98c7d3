"""A passage: one searchable piece of a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isoglot.core.short_repr import brief

_NUMBERED = re.compile(r"#[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Passage:
    """One searchable piece of a document.

    Attributes:
        id: unique in the index, see `passage_id`.
        document: id of the document.
        text: as it is displayed and matched.
        lang: language code, `und` if it could not be detected.
        title: of the document, empty if it has none.
        source: file (and line) the document came from.
        metadata: further fields of the document.
    """

    id: str
    document: str
    text: str
    lang: str
    title: str = ""
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = brief


def passage_id(document: str, number: int, of: int) -> str:
    """Return a passage's id: the document's id if it is the only passage, else with `#number` appended.

    A document id that itself ends in `#number` always gets a number appended, so that passage ids are unique.

    >>> passage_id("a", 1, 1), passage_id("a", 2, 3), passage_id("a#2", 1, 1)
    ('a', 'a#2', 'a#2#1')
    """
    return document if of == 1 and not _NUMBERED.search(document) else f"{document}#{number}"


def read_text(passage: Passage) -> str:
    """Return the text that a model reads for a passage: its title and text."""
    return f"{passage.title} {passage.text}".strip()


def in_order(passages: Iterable[Passage]) -> list[Passage]:
    """Return the passages of one document, sorted by their numbers."""

    def number(passage: Passage) -> int:
        found = _NUMBERED.search(passage.id)
        return int(found.group()[1:]) if found else 0

    return sorted(passages, key=number)
