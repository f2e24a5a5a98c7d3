"""Split a page at its headings, for indexes that link to sections and for rows from translated pages."""

from __future__ import annotations

from typing import NamedTuple

from isoglot.core.short_repr import brief
from isoglot.documents.page import Page


class Section(NamedTuple):
    """The text under one heading, up to the next heading of any level.

    Attributes:
        level: 1 to 6; 0 for the text before the first heading.
        title: the heading's text on one line; empty at level 0.
        ident: the explicit anchor (`{#id}`, `id=`, `.. _id:`); empty if there is none.
        text: the prose, with empty lines between blocks; code, tables and navigation are left out.
    """

    level: int
    title: str
    ident: str
    text: str

    def __repr__(self) -> str:
        return brief(self)


def sections(page: Page) -> list[Section]:
    r"""Split a page at its headings; headings without text are kept, an empty part before the first heading is not.

    >>> from isoglot.documents.markdown import markdown_page
    >>> sections(markdown_page("## Berge {#b}\n\nDer Ararat.\n\n```\nx = 1\n```\n"))
    [Section(level=2, title='Berge', ident='b', text='Der Ararat.')]
    """
    found: list[Section] = []
    level, title, ident = 0, "", ""
    prose: list[str] = []

    def close() -> None:
        if level or prose:
            found.append(Section(level, title, ident, "\n\n".join(prose)))
        prose.clear()

    for block in page.blocks:
        if not block.prose:
            continue
        if block.level:
            close()
            level, title, ident = block.level, " ".join(block.text.split()), block.ident
        else:
            prose.append(block.text)
    close()
    return found
