"""A document, and the file it is read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isoglot.core.brief import brief
from isoglot.core.files import shown
from isoglot.core.problems import Problems
from isoglot.documents.page import Block, Page
from isoglot.languages.checking import are_alike
from isoglot.languages.codes import UNKNOWN, known_code
from isoglot.languages.detection import detect
from isoglot.languages.letters import IGNORABLE

_UNSEEN = re.compile(f"[\\s{IGNORABLE}]*")
_NO_LANGUAGE = (UNKNOWN, "mis", "mul")  # of ISO 639-2: not told, none that has a code, several
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        id: its own, or the name of its file (and the line).
        text: without control characters and half surrogates.
        lang: as the data say; None where they do not.
        title: empty where it has none.
        file: name of the file it came from, see `Source`.
        line: line or row of that file; None where the file is one document.
        metadata: what else the record holds.
        done: bytes of all inputs read so far, for progress.
        blocks: of a file of one page, with its headings; empty for records.
    """

    id: str
    text: str
    lang: str | None = None
    title: str = ""
    file: str = ""
    line: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    blocks: tuple[Block, ...] = field(default=(), repr=False, compare=False)

    __repr__ = brief

    @property
    def source(self) -> str:
        """File, or file:line."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read.

    Attributes:
        path: where it is.
        name: unique among the files of an index; what the ids of its documents are made of.
        start: bytes of the files before it.
        size: its own bytes.
    """

    path: Path
    name: str
    start: int
    size: int


Reader = Callable[[Source, Problems], Iterator[Document]]


def clean(text: str) -> str:
    """Text without control characters and half surrogates (blanks in their place), trimmed; none where none is seen."""
    cleaned = _CONTROL.sub(" ", text).strip()
    return "" if _UNSEEN.fullmatch(cleaned) else cleaned


def stated_code(text: str) -> str | None:
    """The code of a language that a file or record states; None for what is no code, or says that it is not known.

    >>> stated_code("pt_BR"), stated_code("und"), stated_code("mul"), stated_code("English")
    ('pt', None, None, None)
    """
    code = known_code(text)
    return None if code in _NO_LANGUAGE else code


def page_document(source: Source, page: Page, *, sure: bool = True) -> Document:
    """The document that a file of one page is; without a title it is called as the file.

    A first heading that is the title is not repeated in the text, unless there is nothing else.

    Args:
        source: the file.
        page: what it holds.
        sure: whether somebody declared the language; word processors write their own where nobody did, and then it
            counts only if the text does not look like another.
    """
    title, text = clean(page.title), clean(page.text)
    first = page.blocks[0] if page.blocks else None
    if first is not None and first.level and " ".join(first.text.split()) == " ".join(title.split()):
        # Every passage begins with the title; a heading that says the same would stand there twice.
        text = clean(replace(page, blocks=page.blocks[1:]).text) or text
    lang = stated_code(page.lang) if page.lang else None
    if lang is not None and not sure and (read := detect(text)) != UNKNOWN and not are_alike(read, lang):
        lang = None
    return Document(
        id=source.name,
        text=text,
        lang=lang,
        title=title or shown(source.path.stem),
        blocks=page.blocks,
        file=source.name,
        metadata=dict(page.facts),
        done=source.start + source.size,
    )
