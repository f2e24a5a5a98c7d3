"""Sections of reStructuredText as Sphinx extends it."""

from __future__ import annotations

import re
from typing import Any

from isoglot.core.errors import MissingPackageError
from isoglot.curation.translated_pages.sections import Outline, Page

_DIRECTIVE = re.compile(r"^(\s*)\.\.\s+(?:\|[^|]+\|\s+)?([\w:.-]+)::[ \t]*(.*)$")
_TARGET = re.compile(r"^\s*\.\.\s+_[^:]+:")
_ROLE = re.compile(r":[\w:.+-]+:`([^`]*)`")
_LABELLED = re.compile(r"^[!~]?(.*?)\s*<[^<>]*>$", re.DOTALL)
_PROSE = {
    *("note", "tip", "hint", "warning", "caution", "attention", "danger", "important", "seealso", "admonition"),
    *("versionadded", "versionchanged", "deprecated", "topic", "container", "rst-class", "centered", "epigraph"),
}
_SPOKEN = {"versionadded", "versionchanged", "deprecated", "admonition", "topic", "container", "rst-class"}


def rst_sections(text: str) -> Page:
    """Sections of a reStructuredText file; a label before a heading (`.. _label:`) is its identifier.

    Raises:
        MissingPackageError: docutils is not installed.
    """
    try:
        from docutils import nodes
        from docutils.core import publish_doctree
    except ImportError as error:
        raise MissingPackageError("reStructuredText wants docutils: pip install 'isoglot[search]'") from error
    settings = {
        "report_level": 5,
        "halt_level": 6,
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "doctitle_xform": False,
        "_disable_config": True,
        "warning_stream": False,
    }
    tree = publish_doctree(_plain(text), settings_overrides=settings)
    outline = Outline()
    _walk(tree, outline, 0, nodes)
    return outline.page()


def _plain(text: str) -> str:
    """What docutils alone understands: prose of admonitions kept, other directives left out, roles as their text."""
    lines: list[str] = []
    skipping: int | None = None
    for line in text.expandtabs().splitlines():
        indent = len(line) - len(line.lstrip())
        if skipping is not None:
            if not line.strip() or indent > skipping:
                continue
            skipping = None
        found = _DIRECTIVE.match(line)
        if found and found[2] in _PROSE:
            said = "" if found[2] in _SPOKEN else found[3]
            lines += ["", f"{found[1]}{said}", ""]
            continue
        if found or (line.lstrip().startswith(".. ") and not _TARGET.match(line)) or line.strip() == "..":
            skipping = indent
            continue
        lines.append(line)
    return _ROLE.sub(_said, "\n".join(lines))


def _said(role: re.Match[str]) -> str:
    labelled = _LABELLED.match(role[1])
    return labelled[1] if labelled and labelled[1] else role[1].lstrip("!~").rsplit("/", 1)[-1]


def _walk(node: Any, outline: Outline, level: int, nodes: Any) -> None:
    label: str | None = None
    for child in node.children:
        if isinstance(child, nodes.target):
            label = str((child.get("names") or child.get("ids") or [child.get("refid")])[0] or "") or None
        elif isinstance(child, nodes.section):
            title = next((part.astext() for part in child.children if isinstance(part, nodes.title)), "")
            outline.heading(min(level + 1, 6), title, label)
            _walk(child, outline, level + 1, nodes)
            label = None
        elif isinstance(child, nodes.paragraph):
            outline.prose(child.astext())
            label = None
        elif isinstance(child, (nodes.literal_block, nodes.table, nodes.comment, nodes.title, nodes.system_message)):
            continue
        elif isinstance(child, nodes.Element):
            _walk(child, outline, level, nodes)
