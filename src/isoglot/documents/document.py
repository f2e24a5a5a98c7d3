"""Documents and the files they are read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from isoglot.core.files import shown
from isoglot.core.problems import Problems
from isoglot.core.short_repr import brief
from isoglot.documents.page import Block, Page
from isoglot.languages.checking import are_alike
from isoglot.languages.codes import UNKNOWN, known_code
from isoglot.languages.detection import detect
from isoglot.languages.equal_letters import IGNORABLE

_UNSEEN = re.compile(f"[\\s{IGNORABLE}]*")
_NO_LANGUAGE = (UNKNOWN, "mis", "mul")  # in ISO 639-2: undetermined, uncoded, multiple languages
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One document.

    Attributes:
        id: the document's own id, or the name of its file (with the line, if the file holds several documents).
        text: the text without control characters and unpaired surrogates.
        lang: language as stated in the data; None if not stated.
        title: the title; empty if there is none.
        file: name of the file it came from, see `Source`.
        line: line or row in that file; None if the file is a single document.
        metadata: further fields of the record, or the front matter.
        done: bytes of all inputs read so far, for progress.
        blocks: blocks of a single-document file, including headings; empty for records.
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
        """The file, or file:line."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read.

    Attributes:
        path: its path.
        name: its name, unique in an index, from which the ids of its documents are built.
        start: total size of the files before it, in bytes.
        size: its size in bytes.
    """

    path: Path
    name: str
    start: int
    size: int


Reader = Callable[[Source, Problems], Iterator[Document]]


def clean(text: str) -> str:
    """Replace control characters and unpaired surrogates by spaces and trim; "" if nothing visible is left."""
    cleaned = _CONTROL.sub(" ", text).strip()
    return "" if _UNSEEN.fullmatch(cleaned) else cleaned


def stated_code(text: str) -> str | None:
    """Normalise a language code stated by a file or record; None if it is invalid or names no single language.

    >>> stated_code("pt_BR"), stated_code("und"), stated_code("mul"), stated_code("English")
    ('pt', None, None, None)
    """
    code = known_code(text)
    return None if code in _NO_LANGUAGE else code


def page_document(source: Source, page: Page, *, sure: bool = True) -> Document:
    """Convert the page of a single-document file to a document; if it has no title, the file name is the title.

    A first heading that equals the title is left out of the text, unless there is no other text.

    Args:
        source: the file.
        page: its parsed content.
        sure: whether the declared language is reliable. Word processors write a default language if the author chose
            none; if not sure, it is used only if language detection does not disagree.
    """
    title, text = clean(page.title), clean(page.text)
    first = page.blocks[0] if page.blocks else None
    if first is not None and first.level and " ".join(first.text.split()) == " ".join(title.split()):
        # Every passage begins with the title, so an equal heading would be repeated.
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
