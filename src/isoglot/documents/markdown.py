"""Markdown as a page: CommonMark with tables, front matter, explicit anchors and admonitions."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from isoglot.core.errors import MissingPackageError
from isoglot.documents.front_matter import split_front_matter
from isoglot.documents.page import Block, Page, first_heading

# {#id}, { #id .class }, {: #id} (kramdown, Python-Markdown), and {/* #id */} (MDX).
_ATTRIBUTES = re.compile(r"\s*\{:?\s*(?:(?:[#.][\w:.-]+|[\w:-]+=(?:\"[^\"]*\"|'[^']*'|[^\s}]+))\s*)+\}\s*\Z")
_IN_COMMENT = re.compile(r"\s*\{/\*\s*#?([\w:.-]+)\s*\*/\}\s*\Z")
_IDENT = re.compile(r"#([\w:.-]+)")
_ANCHOR = re.compile(r"""<a\s[^>]*?(?:id|name)\s*=\s*["']?([\w:.-]+)""", re.IGNORECASE)
_MARKERS = re.compile(r"^[ \t]*(?::{3,}.*|\[![\w-]+\][-+]?)[ \t]*(?:\n|\Z)", re.MULTILINE)
_NESTING = 150  # markdown-it drops what is deeper; more would exhaust the stack
_SHORTCODE = re.compile(r"\{\{[<%]\s*(.*?)\s*[>%]\}\}", re.DOTALL)
_SHOWN_BY_SHORTCODE = re.compile(r"\btext=\"([^\"]*)\"")


def markdown_page(text: str) -> Page:
    r"""Text of a Markdown file; the title is its front matter's or its first heading.

    Raises:
        MissingPackageError: markdown-it-py is not installed.

    >>> page = markdown_page("# Hallo {#gruss}\n\nEin *Satz* mit [Verweis](x).")
    >>> page.text, page.blocks[0].ident
    ('Hallo\n\nEin Satz mit Verweis.', 'gruss')
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = split_front_matter(text)
    blocks: list[Block] = []
    level, ident = 0, ""
    parser = _parser()
    try:
        tokens = parser.parse(_SHORTCODE.sub(_shown, front.rest))
    except RecursionError:
        return Page((Block(front.rest),), note="nested too deeply for Markdown; kept as plain text")
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "inline":
            children = token.children or []
            if level:
                shown, ident = _explicit(token.content)
                if shown != token.content:
                    children = parser.parseInline(shown)[0].children or []
            said = _MARKERS.sub("", _inline(children)).strip()
            if said:
                blocks.append(Block(said, level, ident))
            ident = ""
        elif token.type in ("fence", "code_block") and token.content.strip():
            blocks.append(Block(token.content.strip("\n"), code=True))
        elif token.type == "html_block":
            from isoglot.documents.html import html_page

            blocks += html_page(token.content).blocks
    if not blocks and front.rest.strip():
        return Page((Block(front.rest.strip()),), note="nothing but nesting or markup; kept as plain text")
    title = front.facts.get("title", "") or first_heading(tuple(blocks))
    lang = front.facts.get("lang") or front.facts.get("language") or front.facts.get("languagecode")
    facts = {key: value for key, value in front.facts.items() if key not in ("title", "lang", "language")}
    return Page(tuple(blocks), title, lang, facts, front.note)


@cache
def _parser() -> Any:
    try:
        from markdown_it import MarkdownIt
        from mdit_py_plugins.admon import admon_plugin
    except ImportError as error:
        raise MissingPackageError(
            "Markdown files want markdown-it-py and mdit-py-plugins: pip install 'isoglot[search]'"
        ) from error
    return MarkdownIt("commonmark", {"maxNesting": _NESTING}).enable("table").use(admon_plugin)


def _inline(children: list[Any]) -> str:
    return "".join(
        "\n" if child.type in ("softbreak", "hardbreak") else child.content
        for child in children
        if child.type != "html_inline"
    )


def _explicit(heading: str) -> tuple[str, str]:
    """A heading without its attributes, and the anchor that they or an empty link name."""
    for pattern, ident in ((_ATTRIBUTES, _IDENT), (_IN_COMMENT, _IN_COMMENT), (None, _ANCHOR)):
        found = pattern.search(heading) if pattern else None
        if pattern is not None and found is None:
            continue
        named = ident.search(found[0] if found else heading)
        if named or found:
            return heading[: found.start()] if found else heading, named[1] if named else ""
    return heading, ""


def _shown(shortcode: re.Match[str]) -> str:
    """What a Hugo shortcode shows, where it says so itself."""
    text = _SHOWN_BY_SHORTCODE.search(shortcode[1])
    return text[1] if text else ""
