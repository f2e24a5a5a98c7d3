"""Parse reStructuredText to a page with docutils, including Sphinx's extensions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar

from isoglot.core.errors import needs
from isoglot.documents.page import Block, Page, first_heading
from isoglot.documents.wrapped_lines import unwrapped

_TARGET = re.compile(r"\A[!~]?(.+?)\s*<[^<>]*>\Z", re.DOTALL)
_ROLE = re.compile(r":([A-Za-z][\w+.-]*(?::[A-Za-z][\w+.-]*)*):`")
# Directives whose content is prose. Their arguments are the start of that prose (_PROSE_FIRST), a version and then the
# start of the prose (_VERSION_FIRST), or a title or signature (_TITLE_FIRST).
_PROSE_FIRST = {"seealso", "centered"}
_VERSION_FIRST = {"versionadded", "versionchanged", "versionremoved", "deprecated"}
_TITLE_FIRST = {
    *("only", "rst-class", "hlist", "tabs", "tab", "group-tab", "tab-set", "tab-item", "grid", "grid-item", "card"),
    *("grid-item-card", "dropdown", "details", "margin", "function", "method", "attribute", "exception", "option"),
    *("envvar", "confval", "describe", "py:function", "py:class", "py:method", "py:attribute", "py:exception", "data"),
}
_NO_PROSE = {"literal_block", "doctest_block", "math_block", "field_name", "image", "title", "subtitle", "rubric"}


def restructured_page(text: str) -> Page:
    """Parse a reStructuredText file; the title is a field `title`, or else the first heading. Includes are not read.

    Raises:
        MissingPackageError: docutils is not installed.
    """
    core, nodes = _docutils()
    _take_roles(_ROLE.findall(text))
    settings = {
        "report_level": 5,
        "halt_level": 5,
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "syntax_highlight": "none",
        "doctitle_xform": False,
        "smart_quotes": False,
        "_disable_config": True,
        "line_length_limit": 10**9,
    }
    try:
        tree = core.publish_doctree(text, settings_overrides=settings)
    except (RecursionError, ValueError, AttributeError, IndexError, KeyError, TypeError) as error:
        # docutils fails with unintended exceptions on some broken tables and targets.
        return Page((Block(text.strip()),), note=f"not understood by docutils ({type(error).__name__}); plain text")
    blocks = tuple(_blocks(tree, nodes))
    facts = {
        field[0].astext().strip().lower(): field[1].astext().strip() for field in tree.findall(nodes.field) if field[1:]
    }
    title = facts.pop("title", "") or first_heading(blocks)
    return Page(blocks, title, facts.get("lang") or facts.get("language"))


def _blocks(tree: Any, nodes: Any) -> list[Block]:
    blocks = []
    for node in tree.findall(nodes.TextElement):
        kind = type(node).__name__
        if isinstance(node.parent, nodes.TextElement) or _within(node, nodes):
            continue
        said = node.astext().strip()
        if not said:
            continue
        if isinstance(node, nodes.title) and isinstance(node.parent, nodes.section):
            blocks.append(Block(said, _depth(node.parent, nodes), _label(node.parent)))
        elif kind not in ("comment", "raw", "substitution_definition", "target"):
            prose = kind not in _NO_PROSE
            blocks.append(Block(unwrapped(said) if prose else said, prose=prose and not _tabled(node, nodes)))
    return blocks


def _tabled(node: Any, nodes: Any) -> bool:
    while node is not None and not isinstance(node, nodes.table):
        node = node.parent
    return node is not None


def _within(node: Any, nodes: Any) -> bool:
    """Whether a node is inside something that readers do not see: system messages, substitutions, document metadata."""
    while node is not None:
        if isinstance(node, (nodes.system_message, nodes.docinfo, nodes.substitution_definition, nodes.meta)):
            return True
        node = node.parent
    return False


def _depth(section: Any, nodes: Any) -> int:
    depth = 0
    while isinstance(section, nodes.section):
        depth, section = depth + 1, section.parent
    return min(depth, 6)


def _label(section: Any) -> str:
    """Return the name of the explicit target before a section, which docutils lists after the name from its title."""
    made = section[0].astext().lower().split() if len(section) else []
    return next((str(name) for name in section["names"] if name.split() != made), "")


@cache
def _docutils() -> tuple[Any, Any]:
    """Import docutils and register Sphinx's directives once, which would otherwise be errors."""
    with needs("reStructuredText needs docutils", "documents"):
        from docutils import core, nodes
        from docutils.parsers.rst import Directive, directives

    class Prose(Directive):  # type: ignore[misc]
        """Parses the directive's content as if the directive were not there."""

        final_argument_whitespace, has_content = True, True
        # Accept any option; one is listed because docutils checks whether there are options at all.
        option_spec: ClassVar = defaultdict(lambda: directives.unchanged, {"class": directives.unchanged})

        def run(self) -> Any:
            box = nodes.container()
            before = 0 if self.name in _PROSE_FIRST else 1
            said = self.arguments[before:] if self.name not in _TITLE_FIRST else []
            if said:
                box += nodes.paragraph("", "", *self.state.inline_text(said[0], self.lineno)[0])
            self.state.nested_parse(self.content, self.content_offset, box)
            return [box]

    for name in _PROSE_FIRST | _VERSION_FIRST | _TITLE_FIRST:
        # The second argument of a version directive is the first paragraph of its prose.
        optional = 2 if name in _VERSION_FIRST else 1
        directives.register_directive(name, type(name, (Prose,), {"optional_arguments": optional}))
    return core, nodes


def _take_roles(names: Iterable[str]) -> None:
    """Register the roles that a text uses but docutils does not know (of Sphinx and extensions) to show their text."""
    from docutils import nodes
    from docutils.parsers.rst import roles
    from docutils.parsers.rst.languages import en

    def role(name: str, raw: str, text: str, *_: Any, **__: Any) -> Any:
        titled = _TARGET.match(text)
        return [nodes.inline(raw, titled[1] if titled else text.lstrip("!~"))], []

    for name in {name.lower() for name in names} - en.roles.keys():
        roles.register_local_role(name, role)
