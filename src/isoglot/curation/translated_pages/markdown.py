"""Sections of Markdown as documentation generators extend it: MkDocs, Docusaurus (MDX), Hugo, VitePress, MyST."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from isoglot.core.errors import MissingPackageError
from isoglot.curation.translated_pages.html import add_html
from isoglot.curation.translated_pages.sections import Outline, Page
from isoglot.documents.front_matter import split_front_matter

if TYPE_CHECKING:
    from markdown_it.token import Token

_IDENT = re.compile(r"\s*\{\s*(?:/\*\s*)?:?\s*#([^\s}.*]+)[^}]*\}\s*$")
_ANCHOR = re.compile(r"""<a\s+(?:[^>]*\s)?(?:name|id)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->|\{/\*(?!\s*#).*?\*/\}", re.DOTALL)
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_MYST_LABEL = re.compile(r"^\(([\w.:-]+)\)=\s*$")
# Lines that are markup of a generator: opening and closing of admonitions, tabs, includes, imports, shortcodes.
_MARKUP = re.compile(
    r"^\s*(:{3,}.*|/{3,}.*|={3}[!+]? +[\"'].*|\{\*.*\*\}|\{%.*%\}|\{\{[<%][^{}]*[>%]\}\}|\[\[?toc\]?\]|"
    r"(import\s.+\sfrom\s|import\s+['\"]|export\s+(const|default|function)\b).*|-{0,2}8<-.*|</?[A-Z][\w.]*[^>]*/?>)\s*$",
    re.IGNORECASE,
)
_INDENTED = re.compile(r"^(\s*)([!?]{3}\+?\s+\S.*|={3}[!+]?\s+[\"'].*)$")
_INLINE = re.compile(r"\{\{[<%]\s*/?.*?[>%]\}\}|\{%.*?%\}|\{:[^}]*\}")
_NAVIGATION = 0.8  # of a list item's or paragraph's letters, in links: then it leads elsewhere and says nothing


def markdown_sections(text: str) -> Page:
    r"""Sections of a Markdown file; identifiers are explicit ones only.

    >>> markdown_sections("Titel\n=====\n\n## Los { #go }\n\nText mit `code`.").sections[1]
    Section(level=2, title='Los', ident='go', text='Text mit code.')
    """
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise MissingPackageError("Markdown wants markdown-it-py: pip install 'isoglot[search]'") from error
    outline = Outline()
    front = split_front_matter(text.replace("\r\n", "\n").replace("\r", "\n"))
    outline.title = front.facts.get("title", "")
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(_plain(_COMMENT.sub("", front.rest)))
    _walk(tokens, outline)
    return outline.page()


def _plain(text: str) -> str:
    """CommonMark without what generators add; labels of MyST become anchors."""
    lines: list[str] = []
    fence, dedent = "", 0
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if dedent and line.strip() and indent < dedent:
            dedent = 0
        line = line[dedent:] if dedent else line
        opening = _FENCE.match(line)
        if opening and (not fence or opening[1].startswith(fence)):
            fence = "" if fence else opening[1]
        elif not fence:
            label = _MYST_LABEL.match(line)
            if label:
                line = f'<a id="{label[1]}"></a>\n'
            elif _INDENTED.match(line):
                dedent += 4 + (len(line) - len(line.lstrip()))
                line = ""
            elif _MARKUP.match(line):
                line = ""
            else:
                line = _INLINE.sub("", line)
        lines.append(line)
    return "\n".join(lines)


def _walk(tokens: Sequence[Token], outline: Outline) -> None:
    anchor: str | None = None
    heading = table = 0
    for token in tokens:
        if token.type == "heading_open":
            heading = int(token.tag[1])
        elif token.type in ("table_open", "table_close"):
            table += 1 if token.type == "table_open" else -1
        elif token.type == "inline" and heading:
            title, inside = _text(token), _ANCHOR.search(token.content)
            ident = _IDENT.search(title)
            outline.heading(heading, title[: ident.start()] if ident else title, _named(ident, inside) or anchor)
            heading, anchor = 0, None
        elif token.type == "inline" and not table:
            inside = _ANCHOR.search(token.content)
            if inside and not _text(token).strip():
                anchor = inside[1]
            elif not _leads_elsewhere(token):
                outline.prose(_text(token))
        elif token.type == "html_block":
            inside = _ANCHOR.search(token.content)
            anchor = inside[1] if inside else anchor
            add_html(token.content, outline)


def _named(*found: re.Match[str] | None) -> str | None:
    return next((match[1] for match in found if match), None)


def _text(token: Token) -> str:
    children: list[Any] = token.children or []
    return "".join(
        " " if child.type in ("softbreak", "hardbreak") else child.content
        for child in children
        if child.type not in ("html_inline", "image")
    )


def _leads_elsewhere(token: Token) -> bool:
    linked = total = depth = 0
    for child in token.children or []:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        letters = sum(map(str.isalnum, child.content)) if child.type in ("text", "code_inline") else 0
        total += letters
        linked += letters if depth else 0
    return bool(total) and linked >= _NAVIGATION * total
