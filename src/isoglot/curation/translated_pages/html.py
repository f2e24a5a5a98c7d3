"""Sections of HTML pages: the main part, without navigation, code and tables."""

from __future__ import annotations

from typing import Any

from isoglot.core.errors import MissingPackageError
from isoglot.curation.translated_pages.sections import Outline, Page, tidy
from isoglot.documents.nesting import flattened

_OUT = (
    "script, style, noscript, template, svg, head, nav, header nav, footer, aside, form, button, pre, table, iframe, "
    "[role=navigation], [aria-hidden=true], .headerlink, .toc, .toctree-wrapper, .sidebar, .breadcrumbs, .breadcrumb, "
    ".hash-link, .anchor-link, .highlight, .pagination, .footer, .navbar"
)
_MAIN = ("main", "[role=main]", "article", "#content", "body")
_PROSE = {"p", "li", "dd", "dt", "blockquote", "figcaption", "summary"}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NAVIGATION = 0.8


def html_sections(text: str) -> Page:
    """Sections of an HTML page; a heading's identifier is its own, its section's, or that of an anchor inside it.

    Raises:
        MissingPackageError: selectolax is not installed.
    """
    tree = _parse(text)
    outline = Outline()
    title = tree.css_first("title")
    for node in tree.css(_OUT):
        node.decompose()
    root = next((found for found in map(tree.css_first, _MAIN) if found is not None), None)
    if root is not None:
        _walk(root, outline)
    page = outline.page()
    if page.title or title is None:
        return page
    return Page(tidy(title.text()), page.sections)


def add_html(text: str, outline: Outline) -> None:
    """Add a piece of HTML inside another format: its headings begin sections, its text is prose."""
    tree = _parse(text)
    for node in tree.css(_OUT):
        node.decompose()
    if tree.body is None:
        return
    found = _walk(tree.body, outline)
    if not found:
        outline.prose(tree.body.text(separator=" "))


def _walk(root: Any, outline: Outline) -> int:
    """Headings and prose below a node, in order; returns how many there were."""
    found = 0
    for node in root.traverse(include_text=False):
        if node.tag in _HEADINGS:
            outline.heading(_HEADINGS[node.tag], node.text(), _ident(node))
            found += 1
        elif node.tag in _PROSE and not _inside_prose(node, root) and not _leads_elsewhere(node):
            outline.prose(node.text(separator="", deep=True))
            found += 1
    return found


def _ident(heading: Any) -> str | None:
    own = heading.attributes.get("id")
    if own:
        return str(own)
    inner = heading.css_first("a[id], a[name], span[id]")
    if inner is not None:
        return str(inner.attributes.get("id") or inner.attributes.get("name") or "") or None
    parent = heading.parent
    named = parent.attributes.get("id") if parent is not None and parent.tag in ("section", "div") else None
    return str(named) if named else None


def _inside_prose(node: Any, root: Any) -> bool:
    parent = node.parent
    while parent is not None and parent.mem_id != root.mem_id:
        if parent.tag in _PROSE or parent.tag in _HEADINGS:
            return True
        parent = parent.parent
    return False


def _leads_elsewhere(node: Any) -> bool:
    total = sum(map(str.isalnum, node.text()))
    linked = sum(sum(map(str.isalnum, link.text())) for link in node.css("a[href]"))
    return total == 0 or linked >= _NAVIGATION * total


def _parse(text: str) -> Any:
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingPackageError("HTML wants selectolax: pip install 'isoglot[search]'") from error
    return LexborHTMLParser(flattened(text))
