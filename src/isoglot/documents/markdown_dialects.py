"""Convert the Markdown of MkDocs, Docusaurus (MDX), Hugo, Jekyll, VitePress, GitBook and MyST to CommonMark."""

from __future__ import annotations

import html
import re

_OUTSIDE_CODE = re.compile(
    r"""
    (?P<fenced> ^[ \t]* (?P<fence>`{3,}(?![^\n]*`)|~{3,}) .*? (?: ^[ \t]* (?P=fence) [`~]* [ \t]* $ | \Z))
    | (?P<span> (?<!`) (?P<ticks>`+) (?!`) (?:(?!\n[ \t]*\n).)*? (?<!`) (?P=ticks) (?!`))
    | ^ (?P<heading> \#{1,6}[ \t][^\n]*+) \n (?P<below> \{:[^}\n]*+\}) [ \t]*$  # kramdown's attributes
    | (?P<opened> <!-- | \{/\*(?!\s*+\#) | \{% )
    | \{\{[<%] (?P<shortcode> [^{}]*+) (?<=[>%])\}\}
    | (?<!\w) !?\[\[ (?P<page> [^\W\d][^\]\[|\n]*+) (?: \| (?P<alias> [^\]\n]++))? \]\] (?![(\[:])
    | (?P<attributes> \{:\s*+ (?:(?: [\#.][\w:.-]++ | [\w:-]++=(?:"[^"\n]*"|'[^'\n]*'|[^\s}]++) | toc )\s*+)++ \}$)
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_CLOSED_BY = {"<!--": "-->", "{/*": "*/}", "{%": "%}"}
_SHOWN_BY_SHORTCODE = re.compile(r"\b(?:text|title|caption|alt)=\"([^\"]*)\"")
_CODE_TAG = re.compile(r"[{%<\s]*(/|end)?highlight\b")
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*(.*)$")
_MYST_LABEL = re.compile(r"^\(([\w.:-]+)\)=\s*$")
_MYST_OPTION = re.compile(r"^\s*:[\w-]+:")
_BOX_WORDS = (
    "note|tip|hint|info|warning|caution|attention|danger|important|error|seealso|admonition|dropdown|details|topic|"
    "versionadded|versionchanged|deprecated|tab-item|tab-set|card|grid|grid-item|grid-item-card|margin|sidebar|epigraph"
)
_MYST_BOX = re.compile(rf"^\{{(?:{_BOX_WORDS})\}}\s*(.*)$")
# Opening lines of boxes and tabs with indented content (Python-Markdown, pymdownx).
_INDENTED = re.compile(r"^\s*(?:[!?]{3}\+?\s+[\w -]+?(?:\s+[\"'](.*)[\"'])?|={3}[!+]?\s+[\"'](.*)[\"'])\s*$")
# Lines that open or close boxes: `:::tip Title`, `::: {.note}`, `:::{note} Title`, `:::tip[Title]`, `/// tip | Title`.
_COLONS = re.compile(r"^\s*:{3,}\s*(?:\{[^}]*\}|[\w.-]*)\s*(?:\{[^}]*\})?\s*\[?(.*?)\]?\s*(?:\{[^}]*\})?\s*:*\s*$")
_SLASHES = re.compile(r"^\s*/{3,}\s*(?:[\w-]+\s*(?:\|\s*(.*?))?)?\s*$")
_MARKUP = re.compile(
    r"^\s*(?:\{\*.*\*\}|-{0,2}8<-.*|<<<\s*@\S+.*|@\[code[^\]]*\]\(.*\)|"
    r"</?[A-Z][\w.]*(?:\s[^>]*)?/?>|<(?:div|details|section|article|figure|center)\s(?:[^>]*\s)?markdown(?:=[^>]*)?>)\s*$"
)
_COMPONENT = re.compile(r"^\s*</?[A-Z]\w*(?:\.\w+)*(?:\s[^>]*)?/?>", re.MULTILINE)
_TOC = re.compile(r"^\s*\[\[?_?toc_?\]?\]\s*$", re.IGNORECASE)
_MODULE_LINE = re.compile(
    r"^(?:import\s+(?:[\w*{}\s,$]+\s+from\s+)?['\"][^'\"]+['\"];?\s*$|import\s+\{\s*$|"
    r"export\s+(?:(?:const|let|var)\s+[\w${\[]|(?:async\s+)?function\b[^.]*\(|"
    r"default\s+(?:function|class|async|[({\[]|[\w$.]+[;(]|[\w$]+\s*$)))"
)


def commonmark(text: str) -> str:
    r"""Remove site generators' extensions from Markdown, but keep what they show to readers.

    Comments, modules, includes, shortcodes and attributes are removed. The content of boxes and tabs becomes normal
    text, their titles become paragraphs of the class `admonition-title`, and labels become anchors. Code is unchanged.

    >>> commonmark("!!! note \"Achtung\"\n    Im *Kasten*.")
    '<p class="admonition-title">Achtung</p>\n\nIm *Kasten*.'
    """
    return "\n".join(_plain_lines(_without_markup(text).split("\n")))


def is_mdx(text: str) -> bool:
    """Whether a text uses components or modules; in MDX, indented lines are not code."""
    return bool(_COMPONENT.search(text) or any(map(_MODULE_LINE.match, text.splitlines())))


def _without_markup(text: str) -> str:
    """Remove comments, Liquid tags, shortcodes and attributes and resolve wiki links, all outside code."""
    parts: list[str] = []
    open_ended: set[str] = set()  # opening signs that are never closed in the rest of the text
    at = 0
    while found := _OUTSIDE_CODE.search(text, at):
        parts.append(text[at : found.start()])
        sign, at = found["opened"], found.end()
        if sign is None:
            parts.append(_shown(found))
            continue
        close = -1 if sign in open_ended else text.find(_CLOSED_BY[sign], at)
        if close < 0:
            open_ended.add(sign)
            parts.append(sign)
        else:
            parts.append("\n```\n" if sign == "{%" and _CODE_TAG.match(text[at:close]) else "")
            at = close + len(_CLOSED_BY[sign])
    return "".join([*parts, text[at:]])


def _shown(found: re.Match[str]) -> str:
    if found["fenced"] is not None or found["span"] is not None:
        return found[0]
    if found["shortcode"] is not None:
        inner = found["shortcode"][:-1].strip()
        if inner.startswith("/*") and inner.endswith("*/"):
            return f"`{{{{< {inner[2:-2].strip()} >}}}}`"  # an escaped shortcode, shown literally
        if _CODE_TAG.match(inner):
            return "\n```\n"
        return " ".join(dict.fromkeys(filter(None, _SHOWN_BY_SHORTCODE.findall(inner))))
    if found["heading"] is not None:
        return f"{_without_markup(found['heading'])} {found['below']}"
    if found["page"] is not None:  # wiki links
        return (found["alias"] or found["page"]).strip()
    heading = found["attributes"] and found.string[found.string.rfind("\n", 0, found.start()) + 1 :].startswith("#")
    return found[0] if heading else ""


def _plain_lines(lines: list[str]) -> list[str]:
    plain: list[str] = []
    fence, dedent = "", 0
    boxes: list[str] = []  # fences of open MyST boxes
    options = module = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if dedent and line.strip() and indent < dedent:
            dedent = 0
        line = line[dedent:] if dedent else line
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[2].startswith(fence) and not mark[3]:
                fence = ""
            plain.append(line)
            continue
        if options and _MYST_OPTION.match(line):
            continue
        options = False
        if module or (_MODULE_LINE.match(line) and not (plain and plain[-1].strip())):
            module = bool(line.strip())
            plain.append("")
        elif mark and boxes and mark[2] == boxes[-1] and not mark[3]:
            boxes.pop()
            plain.append("")
        elif mark and (box := _MYST_BOX.match(mark[3])):
            boxes.append(mark[2])
            plain += _box_title(box[1], "")
            options = True
        elif mark and ("~" in mark[2] or "`" not in mark[3]):
            fence = mark[2]
            plain.append(line)
        elif label := _MYST_LABEL.match(line):
            plain.append(f'<a id="{label[1]}"></a>\n')
        elif box := _INDENTED.match(line):
            dedent += 4 + (len(line) - len(line.lstrip()))
            plain += _box_title(box[1] or box[2] or "", line)
        elif box := _COLONS.match(line) or _SLASHES.match(line):
            plain += _box_title(box[1] or "", line)
            options = line.lstrip().startswith(":")
        elif _MARKUP.match(line) or _TOC.match(line):
            plain.append("")
        else:
            plain.append(line)
    return plain


def _box_title(title: str, line: str) -> list[str]:
    """Return a box's title as an HTML paragraph, so that it cannot merge with Markdown around it, and an empty line."""
    said = re.sub(r"[*`_]{1,3}(\S.*?)[*`_]{1,3}", r"\1", title.strip())
    indent = line[: len(line) - len(line.lstrip())]
    return [f'{indent}<p class="admonition-title">{html.escape(said, quote=False)}</p>', ""] if said else [""]
