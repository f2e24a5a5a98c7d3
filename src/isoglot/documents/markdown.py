"""Parse Markdown to a page: CommonMark with tables, front matter, explicit anchors and site generators' extensions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from isoglot.core.errors import needs
from isoglot.documents.front_matter import split_front_matter
from isoglot.documents.html import html_page
from isoglot.documents.markdown_dialects import commonmark, is_mdx
from isoglot.documents.page import Block, Page, first_heading
from isoglot.documents.wrapped_lines import unwrapped

# {#id}, { #id .class }, {: #id} (kramdown, Python-Markdown), and {/* #id */} (MDX).
_ATTRIBUTES = re.compile(r"\s*\{:?\s*+(?:(?:[#.][\w:.-]++|[\w:-]++=(?:\"[^\"]*\"|'[^']*'|[^\s}]++))\s*+)++\}\s*\Z")
_IN_COMMENT = re.compile(r"\s*\{/\*\s*#?([\w:.-]+)\s*\*/\}\s*\Z")
_IDENT = re.compile(r"#([\w:.-]+)")
_ANCHOR = re.compile(r"""<(?:a|span)\s[^>]*?(?:id|name)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_MARKERS = re.compile(r"^[ \t]*\[![\w-]+\][-+]?[ \t]*(?:\n|\Z)", re.MULTILINE)
_IMPORT = re.compile(r"import .+ from .+:", re.IGNORECASE)  # a caption that only repeats the code below
_BREAK = re.compile(r"<br\b[^>]*>", re.IGNORECASE)
_HARD = "\x1e"  # stands for a break that was meant until wrapped lines are joined
_NESTING = 150  # markdown-it drops deeper content; a higher limit would exhaust the stack
_NAVIGATION = 0.8  # a paragraph with at least this share of its letters and digits in links is navigation, not prose


def markdown_page(text: str) -> Page:
    r"""Parse a Markdown file; the title is that of the front matter, or else the first heading.

    Raises:
        MissingPackageError: markdown-it-py is not installed.

    >>> page = markdown_page("# Hallo {#gruss}\n\nEin *Satz* mit [Verweis](x).")
    >>> page.text, page.blocks[0].ident
    ('Hallo\n\nEin Satz mit Verweis.', 'gruss')
    """
    front = split_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    try:
        tokens = _parser(not is_mdx(front.rest)).parse(commonmark(front.rest))
    except RecursionError:
        return Page((Block(front.rest),), note="nested too deeply for Markdown; kept as plain text")
    blocks = tuple(_blocks(tokens))
    if not blocks and front.rest.strip():
        return Page((Block(front.rest.strip()),), note="nothing but nesting or markup; kept as plain text")
    title = front.facts.get("title", "") or first_heading(blocks)
    lang = front.facts.get("lang") or front.facts.get("language") or front.facts.get("languagecode")
    facts = {key: value for key, value in front.facts.items() if key not in ("title", "lang", "language")}
    return Page(blocks, title, lang, facts, front.note)


@cache
def _parser(indented_code: bool = True) -> Any:
    with needs("Markdown files need markdown-it-py and mdit-py-plugins", "search"):
        from markdown_it import MarkdownIt
        from mdit_py_plugins.footnote import footnote_plugin
    # Without the footnote plugin, a footnote of one word would be parsed as a link definition and its text lost.
    parser = MarkdownIt("commonmark", {"maxNesting": _NESTING}).enable(["table", "strikethrough"]).use(footnote_plugin)
    return parser if indented_code else parser.disable("code")


def _blocks(tokens: list[Any]) -> Iterator[Block]:
    level = table = 0
    anchor = ""  # the anchor of an empty link before a heading
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            level = int(token.tag[1:]) if token.type == "heading_open" else 0
        elif token.type in ("table_open", "table_close"):
            table += 1 if token.type == "table_open" else -1
        elif token.type == "inline":
            children, ident = _heading(token) if level else (token.children or [], "")
            said = _MARKERS.sub("", _inline(children)).strip()
            if said:
                prose = bool(level) or not (table or _leads_elsewhere(children) or _IMPORT.fullmatch(said))
                yield Block(said, level, ident or anchor if level else "", prose=prose)
            anchor = "" if said else _anchor(token.content)
            pictured = " ".join(child.content for child in children if child.type == "image").strip()
            if pictured:
                yield Block(pictured, prose=False)
        elif token.type in ("fence", "code_block") and token.content.strip():
            yield Block(token.content.strip("\n"), prose=False)
        elif token.type == "html_block":
            found = html_page(token.content).blocks
            if found and found[0].level and anchor and not found[0].ident:
                found = (Block(found[0].text, found[0].level, anchor), *found[1:])
            yield from found
            anchor = "" if found else _anchor(token.content)


def _heading(token: Any) -> tuple[list[Any], str]:
    """Return the tokens of a heading without its attributes, and the anchor named in it; else ""."""
    shown, ident = _explicit(token.content)
    shorter = shown != token.content
    return (_parser().parseInline(shown)[0].children if shorter else token.children) or [], ident


def _anchor(content: str) -> str:
    found = _ANCHOR.search(content)
    return found[1] if found else ""


def _inline(children: list[Any]) -> str:
    said = "".join(
        _HARD
        if child.type == "hardbreak" or _BREAK.fullmatch(child.content)
        else "\n"
        if child.type == "softbreak"
        else child.content
        for child in children
        if child.type not in ("html_inline", "image") or _BREAK.fullmatch(child.content)
    )
    return unwrapped(said).replace(_HARD, "\n")


def _leads_elsewhere(children: list[Any]) -> bool:
    linked = total = depth = 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        letters = sum(map(str.isalnum, child.content)) if child.type in ("text", "code_inline") else 0
        total += letters
        linked += letters if depth else 0
    return bool(total) and linked >= _NAVIGATION * total


def _explicit(heading: str) -> tuple[str, str]:
    """Return a heading without its attributes, and the anchor named by them or by an HTML `a` or `span`; else ""."""
    for pattern, ident in ((_ATTRIBUTES, _IDENT), (_IN_COMMENT, _IN_COMMENT), (None, _ANCHOR)):
        found = pattern.search(heading) if pattern else None
        if pattern is not None and found is None:
            continue
        named = ident.search(found[0] if found else heading)
        if named or found:
            return heading[: found.start()] if found else heading, named[1] if named else ""
    return heading, ""
