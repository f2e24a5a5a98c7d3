"""Parse HTML to a page: visible text in blocks, title, declared language, and which blocks are the main prose."""

from __future__ import annotations

import re
from typing import Any, Literal

from isoglot.core.errors import needs
from isoglot.documents.nesting import MOST, flattened
from isoglot.documents.page import Block, Page
from isoglot.documents.wrapped_lines import unwrapped

_NOT_TEXT = (
    "script, style, noscript, template, svg, head, .headerlink, .hash-link, .anchor-link, a[aria-hidden=true], "
    "span[aria-hidden=true], i[aria-hidden=true], "
    # Pronunciations above words (ruby) and footnote numbers: within the text they would corrupt its words.
    "rt, rp, rtc, [role=doc-noteref], [role=doc-backlink], [epub\\:type~=noteref], .footnote-ref, .footnote-reference, "
    ".footnote-backref, .footnote-back, [data-footnote-ref], [data-footnote-backref]"
)
_MAIN = ("main", "[role=main]", "article", "#content", "body")
# Shown, but not part of the page's prose.
_BESIDE = (
    "nav, footer, aside, form, button, pre, table, iframe, [role=navigation], .toc, .toctree-wrapper, .sidebar, "
    ".breadcrumbs, .breadcrumb, .highlight, .pagination, .footer, .navbar, .admonition-title"
)
# The same around every page of a site: its navigation, banner and footer. Left out, unless there is nothing else.
_AROUND = "nav, header, footer, [role=navigation], [role=banner], [role=contentinfo], .navheader, .navfooter"
_OF_A_PART = {"article", "aside", "blockquote", "details", "figure", "main", "section"}  # their headers and footers
_LEVELS = {f"h{number}": number for number in range(1, 7)}
_BLOCKS = {
    *("address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "dialog", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main", "nav", "ol"),
    *("option", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    *_LEVELS,
}
_NAVIGATION = 0.8  # a block with at least this share of its letters and digits in links is navigation, not prose
_BLANKS = re.compile(r"[ \t\n\r\f\v\u00a0]+")
_ROUND_BREAK = re.compile(r" ?\x1e ?")
_BREAK = "\x1e"  # stands for a line break until white space is collapsed
# XHTML, which EPUB consists of, has `<title/>` and `<a id="x"/>`; to an HTML parser these are open until something
# closes them, a title even to the end of the file.
_XHTML = re.compile(r"<\?xml\b|<html\b[^<>]*\sxmlns\s*=", re.IGNORECASE)
_DECLARED_WITHIN = 2000
_EMPTY = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)([a-z][\w:.-]*)((?:\s[^<>]*)?)/>",
    re.IGNORECASE,
)
_PERMALINKS = ("¶", "#", "§", "🔗")


def html_page(text: str) -> Page:
    r"""Parse an HTML page: visible text, title and declared language.

    Raises:
        MissingPackageError: selectolax is not installed.

    >>> html_page("<h2 id='a'>Berge</h2><p>Der<br>Ararat</p>").text
    'Berge\n\nDer\nArarat'
    """
    with needs("HTML files need selectolax", "search"):
        from selectolax.lexbor import LexborHTMLParser
    written = _EMPTY.sub(r"<\1\2></\1>", text) if _XHTML.search(text, 0, _DECLARED_WITHIN) else text
    shallow = flattened(written)
    tree = LexborHTMLParser(shallow.replace(_BREAK, " "))
    title_node, root = tree.css_first("title"), tree.css_first("html")
    title = title_node.text(strip=True) if title_node else ""
    lang = (root.attributes.get("lang") or root.attributes.get("xml:lang") if root else None) or None
    for node in tree.css(_NOT_TEXT):
        node.decompose()
    note = (
        "" if shallow == written else f"elements nested more than {MOST:,} deep; what is deeper is read as plain text"
    )
    title = _BLANKS.sub(" ", title).strip()
    if not tree.body:
        return Page((), title, lang, note=note)
    main = next(found for found in map(tree.css_first, _MAIN) if found is not None)
    beside = {node.mem_id for node in tree.css(_BESIDE)}
    around = {node.mem_id for node in tree.css(_AROUND) if _is_around(node)}
    return Page(tuple(_blocks(tree.body, main.mem_id, beside, around)), title, lang, note=note)


def _is_around(node: Any) -> bool:
    """Return whether navigation, a header or a footer is the page's own, and not a header with the page's heading."""
    if node.tag not in ("header", "footer"):
        return True
    outer = node.parent
    while outer is not None:
        if outer.tag in _OF_A_PART:
            return False
        outer = outer.parent
    return node.tag == "footer" or node.css_first(", ".join(_LEVELS)) is None


def _blocks(body: Any, main: int, beside: set[int], around: set[int]) -> list[Block]:
    """Return the blocks of the tree, walked without recursion because pages may be deeply nested."""
    page = _Walk(main, beside, around)
    stack: list[tuple[Any, bool]] = [(body, False)]
    while stack:
        node, leaving = stack.pop()
        if node.tag == "-text":
            page.add(node.text_content or "")
        elif node.tag == "br":
            page.add_break()
        elif leaving:
            page.cross(node, -1)
        else:
            page.cross(node, 1)
            stack.append((node, True))
            stack += [(child, False) for child in reversed(list(node.iter(include_text=True)))]
    page.end_block()
    return page.blocks or page.outer


class _Walk:
    """The blocks seen so far on a walk through a page, the text of the next one, and what the walk is inside of.

    Attributes:
        blocks: of the page itself.
        outer: of what is around every page of the site.
    """

    def __init__(self, main: int, beside: set[int], around: set[int]) -> None:
        self.blocks: list[Block] = []
        self.outer: list[Block] = []
        self._main, self._beside, self._around = main, beside, around
        self._parts: list[str] = []
        self._linked = 0  # letters and digits of them that are in links
        self._level, self._ident = 0, ""  # of the heading; 0 outside of headings
        self._inside = self._out = self._away = self._code = self._links = 0  # open elements of each kind

    def add(self, text: str) -> None:
        """Add text to the block."""
        self._parts.append(text)
        if self._links:
            self._linked += sum(map(str.isalnum, text))

    def add_break(self) -> None:
        """Add a line break to the block."""
        self._parts.append("\n" if self._code else _BREAK)

    def cross(self, node: Any, step: Literal[1, -1]) -> None:
        """Enter an element (1) or leave it (-1)."""
        tag = node.tag
        if tag in _BLOCKS:
            self.end_block()
            if tag == "pre":
                self._code += step
            if tag in _LEVELS:
                entered = step > 0
                self._level = _LEVELS[tag] if entered else 0
                self._ident = (node.attributes.get("id") or _anchor(node)) if entered else ""
        elif tag == "a" and node.attributes.get("href"):
            self._links += step
        self._inside += step if node.mem_id == self._main else 0
        self._out += step if node.mem_id in self._beside else 0
        self._away += step if node.mem_id in self._around else 0

    def end_block(self) -> None:
        """End the block, and keep it if it has any text."""
        said = "".join(self._parts)
        elsewhere = not self._level and self._linked >= _NAVIGATION * max(1, sum(map(str.isalnum, said)))
        said = said.strip("\n") if self._code else _folded(said)
        self._parts.clear()
        self._linked = 0
        if self._level and said.endswith(_PERMALINKS):
            said = said[:-1].rstrip()
        if said.strip():
            prose = self._inside > 0 and not (self._out or self._code or elsewhere)
            (self.outer if self._away else self.blocks).append(Block(said, self._level, self._ident, prose=prose))


def _folded(text: str) -> str:
    return _ROUND_BREAK.sub("\n", _BLANKS.sub(" ", unwrapped(text))).strip()


def _anchor(heading: Any) -> str:
    """Return the anchor of a link or span within a heading, or of the section whose first heading it is."""
    link = heading.css_first("a[id], a[name], span[id]")
    if link is not None:
        return link.attributes.get("id") or link.attributes.get("name") or ""
    parent, before = heading.parent, heading.prev
    while before is not None and before.tag not in _LEVELS:
        before = before.prev
    if parent is not None and parent.tag in ("section", "div") and before is None:
        return parent.attributes.get("id") or ""
    return ""
