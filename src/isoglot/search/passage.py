"""A passage: one searchable piece of a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isoglot.core.brief import brief

_NUMBERED = re.compile(r"#[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Passage:
    """One searchable piece of a document.

    Attributes:
        id: unique in the index, see `passage_id`.
        document: id of the document.
        text: as it is shown and matched.
        lang: language code, `und` where it could not be told.
        title: of the document, empty where it has none.
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
    """Id of a document's passage: the document's where it is the only one, else with `#number`.

    A document whose own id ends in such a number always gets another one, so that no two passages are called alike.

    >>> passage_id("a", 1, 1), passage_id("a", 2, 3), passage_id("a#2", 1, 1)
    ('a', 'a#2', 'a#2#1')
    """
    return document if of == 1 and not _NUMBERED.search(document) else f"{document}#{number}"


def read_text(passage: Passage) -> str:
    """What a model reads of a passage."""
    return f"{passage.title} {passage.text}".strip()


def in_order(passages: Iterable[Passage]) -> list[Passage]:
    """Passages of one document, by their numbers."""

    def number(passage: Passage) -> int:
        found = _NUMBERED.search(passage.id)
        return int(found.group()[1:]) if found else 0

    return sorted(passages, key=number)
