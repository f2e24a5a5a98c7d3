"""What a parser makes of one file: its blocks of text in order, its title and its language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isoglot.core.brief import brief


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a heading, a cell of a table, or a piece of code.

    Attributes:
        text: as a reader sees it; lines within a block end in a newline.
        level: 1 to 6 for a heading, 0 for anything else.
        ident: the anchor that the author wrote for a heading; empty where it is made of the heading's words.
        prose: False for what is shown but belongs to no section's prose: code, tables, titles of boxes, alternative
            texts of pictures, and (of HTML) what stands around the main part or only leads elsewhere.
    """

    text: str
    level: int = 0
    ident: str = ""
    prose: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """One file as text.

    Attributes:
        blocks: in the order of reading, none of them empty.
        title: as the file names it, else its first heading; empty where it has neither.
        lang: as the file declares it.
        facts: what else it says about itself (front matter).
        note: what could not be understood, to be told.
    """

    blocks: tuple[Block, ...]
    title: str = ""
    lang: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    __repr__ = brief

    @property
    def text(self) -> str:
        """All blocks, with an empty line between two."""
        return "\n\n".join(block.text for block in self.blocks)


def plain_page(text: str, title: str = "", lang: str | None = None) -> Page:
    """A page of one block.

    >>> plain_page("Ein Satz.").text
    'Ein Satz.'
    """
    return Page((Block(text),) if text.strip() else (), title, lang)


def first_heading(blocks: tuple[Block, ...]) -> str:
    """Text of the first heading, on one line; empty where there is none."""
    return next((" ".join(block.text.split()) for block in blocks if block.level), "")
