"""Extract blocks of text from XML, given which elements are blocks, headings, code or ignored."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from isoglot.documents.page import Block

_BLANKS = re.compile(r"[ \t\r\n]+")
XML = "{http://www.w3.org/XML/1998/namespace}"


class Heading(NamedTuple):
    """The level of a heading, 1 to 6, and its anchor."""

    level: int
    ident: str = ""


class Shape(NamedTuple):
    """The roles of a format's elements, by their names without namespaces.

    Attributes:
        blocks: elements that are separate blocks.
        code: elements that are blocks of code.
        unread: elements that are left out with their content.
        tables: elements whose blocks are not prose.
        heading: returns the heading for an element and its ancestors; None if it is not one.
        shown: returns the text that an element such as a tab stands for.
    """

    blocks: Collection[str]
    code: Collection[str]
    unread: Collection[str]
    tables: Collection[str]
    heading: Callable[[Any, list[Any]], Heading | None]
    shown: Callable[[Any], str] = lambda element: ""


def local(element: Any) -> str:
    """Return the name of an element without its namespace; "" for comments and processing instructions."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def xml_blocks(root: Any, shape: Shape) -> list[Block]:
    """Return the text of a tree in blocks, walked without recursion because trees may be deeply nested."""
    blocks: list[Block] = []
    around: list[Any] = []
    # For each open block: its text so far, its heading if it is one, and whether it is code.
    open_blocks: list[tuple[list[str], Heading | None, bool]] = [([], None, False)]

    def flush() -> None:
        parts, heading, code = open_blocks[-1]
        said = "".join(parts)
        said = said.strip("\n") if code else _BLANKS.sub(" ", said).strip()
        parts.clear()
        if said.strip():
            prose = not code and (heading is not None or not any(local(outer) in shape.tables for outer in around))
            blocks.append(Block(said, *(heading or Heading(0)), prose=prose))

    stack: list[tuple[Any, bool]] = [(root, False)]
    while stack:
        element, leaving = stack.pop()
        name = local(element)
        heading = None if leaving else shape.heading(element, around)
        if leaving:
            around.pop()
            if name in shape.blocks or name in shape.code or element.get("\0heading"):
                flush()
                open_blocks.pop()
            open_blocks[-1][0].append(element.tail or "")
        elif not name or name in shape.unread:
            open_blocks[-1][0].append(element.tail or "")
        else:
            if heading is not None:
                element.set("\0heading", "1")
            if name in shape.blocks or name in shape.code or heading is not None:
                flush()
                open_blocks.append(([], heading, name in shape.code))
            open_blocks[-1][0].append(shape.shown(element) + (element.text or ""))
            around.append(element)
            stack.append((element, True))
            stack += [(child, False) for child in reversed(element)]
    flush()
    return blocks
