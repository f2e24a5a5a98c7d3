"""The readable text of Markdown and HTML."""

from __future__ import annotations

import re
from typing import NamedTuple

from isoglot.core.errors import MissingPackageError

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n(?:---|\.\.\.)\s*(?:\n|\Z)", re.DOTALL)
_BLANKS = re.compile(r"[ \t\r\f\v\u00a0]+")
_LINES = re.compile(r"\n\s*\n+")
_NOT_TEXT = "script, style, noscript, template, svg, head"


class Page(NamedTuple):
    """Text of a file, with its title and language where the file names them."""

    text: str
    title: str = ""
    lang: str | None = None


def markdown_page(text: str) -> Page:
    r"""Text of a CommonMark file; the title is its front matter's or its first heading.

    >>> markdown_page("# Hallo\n\nEin *Satz* mit [Verweis](x).").text
    'Hallo\n\nEin Satz mit Verweis.'
    """
    from markdown_it import MarkdownIt

    front = _FRONT_MATTER.match(text)
    facts = {}
    if front:
        for line in front[1].splitlines():
            key, colon, value = line.partition(":")
            if colon:
                facts[key.strip().lower()] = value.strip().strip("\"'")
        text = text[front.end() :]
    blocks: list[str] = []
    title = facts.get("title", "")
    previous = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "inline":
            block = "".join(
                "\n" if child.type in ("softbreak", "hardbreak") else child.content
                for child in token.children or ()
                if child.type != "html_inline"
            ).strip()
            blocks.append(block)
            if not title and previous == "heading_open":
                title = block
        elif token.type in ("fence", "code_block"):
            blocks.append(token.content.strip())
        elif token.type == "html_block":
            blocks.append(html_page(token.content).text)
        previous = token.type
    return Page("\n\n".join(block for block in blocks if block), title, facts.get("lang") or facts.get("language"))


def html_page(text: str) -> Page:
    """Visible text of an HTML page, its title and the language it declares.

    Raises:
        MissingPackageError: selectolax is not installed.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingPackageError("HTML files want selectolax: pip install 'isoglot[search]'") from error
    tree = LexborHTMLParser(text)
    title_node, root = tree.css_first("title"), tree.css_first("html")
    title = title_node.text(strip=True) if title_node else ""
    lang = (root.attributes.get("lang") if root else None) or None
    for node in tree.css(_NOT_TEXT):
        node.decompose()
    for node in tree.css("p, div, li, tr, h1, h2, h3, h4, h5, h6, section, article, br, pre, blockquote, dt, dd"):
        node.insert_after("\n\n" if node.tag != "br" else "\n")
    body = tree.body.text() if tree.body else ""
    lines = "\n".join(_BLANKS.sub(" ", line).strip() for line in body.split("\n"))
    return Page(_LINES.sub("\n\n", lines).strip(), _BLANKS.sub(" ", title), lang)
