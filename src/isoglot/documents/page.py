"""The parsed content of one file: its blocks of text in order, title and language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isoglot.core.short_repr import brief


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading, a table cell, or a block of code.

    Attributes:
        text: the visible text; lines within a block are separated by newlines.
        level: 1 to 6 for a heading, 0 for anything else.
        ident: the explicit anchor of a heading; empty if the anchor would be derived from the heading's words.
        prose: False for visible text that is not prose: code, tables, titles of boxes, alternative texts of images,
            navigation links, and (in HTML) everything outside the main part.
    """

    text: str
    level: int = 0
    ident: str = ""
    prose: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One file as text.

    Attributes:
        blocks: non-empty blocks in reading order.
        title: the title given in the file, or else its first heading; empty if there is neither.
        lang: the declared language; None if there is none.
        facts: further metadata (front matter).
        note: a warning about what could not be parsed; empty if there is none.
    """

    blocks: tuple[Block, ...]
    title: str = ""
    lang: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    __repr__ = brief

    @property
    def text(self) -> str:
        """All blocks, separated by empty lines."""
        return "\n\n".join(block.text for block in self.blocks)


def plain_page(text: str, title: str = "", lang: str | None = None) -> Page:
    """Return a page with one block, or with none if the text is blank.

    >>> plain_page("Ein Satz.").text
    'Ein Satz.'
    """
    return Page((Block(text),) if text.strip() else (), title, lang)


def first_heading(blocks: tuple[Block, ...]) -> str:
    """Return the text of the first heading on one line; "" if there is none."""
    return next((" ".join(block.text.split()) for block in blocks if block.level), "")
