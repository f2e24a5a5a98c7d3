"""A page as its headings and the prose below each: code, tables, navigation and markup left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_BLANKS = re.compile(r"\s+")
# Identifiers that a generator numbers: the same number is another section in another language.
_NUMBERED = re.compile(r"(id|section|heading|toc|_|h)?[-_]?\d*", re.IGNORECASE)


class Section(NamedTuple):
    """A heading (level 1 to 6; 0 for what stands before the first), its identifier where it has one, its prose.

    The prose ends where the next heading begins, of whatever level.
    """

    level: int
    title: str
    ident: str | None
    text: str


class Page(NamedTuple):
    """Title (empty where it has none) and sections of one file."""

    title: str
    sections: tuple[Section, ...]


@dataclass
class Outline:
    """Sections in the making."""

    title: str = ""

    def __post_init__(self) -> None:
        self._sections: list[Section] = []
        self._open: tuple[int, str, str | None] = (0, "", None)
        self._blocks: list[str] = []

    def heading(self, level: int, title: str, ident: str | None = None) -> None:
        """Begin a section."""
        self._close()
        self._open = (level, tidy(title), ident if ident and not _NUMBERED.fullmatch(ident) else None)

    def prose(self, text: str) -> None:
        """Add a paragraph to the section."""
        block = tidy(text)
        if any(map(str.isalpha, block)):
            self._blocks.append(block)

    def page(self) -> Page:
        """The finished page; its title is the one named, else that of its first heading of level 1."""
        self._close()
        self._open, self._blocks = (0, "", None), []
        first = next((section.title for section in self._sections if section.level == 1), "")
        return Page(tidy(self.title) or first, tuple(self._sections))

    def _close(self) -> None:
        level, title, ident = self._open
        if level or self._blocks:
            self._sections.append(Section(level, title, ident, "\n".join(self._blocks)))
        self._blocks = []


def tidy(text: str) -> str:
    """One line without blanks at its ends."""
    return _BLANKS.sub(" ", text).strip()
