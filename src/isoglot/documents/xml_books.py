"""Read DocBook, TEI and JATS files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source, page_document
from isoglot.documents.page import Page, first_heading
from isoglot.documents.xml_blocks import XML, Heading, Shape, local, xml_blocks
from isoglot.documents.zip_files import UnreadableError, xml_root

_DOCBOOK_PARTS = {
    *("set", "book", "part", "article", "chapter", "appendix", "preface", "section", "simplesect", "sect1", "sect2"),
    *("sect3", "sect4", "sect5", "refentry", "refsect1", "refsect2", "refsect3", "glossary", "bibliography", "topic"),
}
_TEI_PARTS = {f"div{number}" for number in range(1, 8)} | {"div"}


def read_xml(source: Source, problems: Problems) -> Iterator[Document]:
    """Read DocBook, TEI or JATS (journal articles) as one document; any other XML is reported and skipped."""
    try:
        root = xml_root(source.path.read_bytes())
    except UnreadableError as error:
        problems.add(source.path, None, f"not a readable XML file: {error}")
        return
    name = local(root)
    if name in ("TEI", "TEI.2", "teiCorpus"):
        page = _tei(root)
    elif name == "article" and any(local(part) in ("front", "body") for part in root):
        page = _jats(root)
    elif name in _DOCBOOK_PARTS:
        page = _docbook(root)
    else:
        problems.add(
            source.path, None, f"XML that is neither DocBook nor TEI nor JATS (its root is <{name}>); convert it"
        )
        return
    yield page_document(source, page)


def _docbook(root: Any) -> Page:
    blocks = {
        *("para", "simpara", "formalpara", "title", "subtitle", "listitem", "entry", "term", "blockquote", "footnote"),
        *("td", "th", "caption", "glossterm", "glossdef", "question", "answer", "note", "tip", "warning", "caution"),
        *("important", "member", "step", "attribution", "abstract", "refpurpose", "refname", "bibliomixed"),
        *_DOCBOOK_PARTS,
    }
    code = {"programlisting", "screen", "literallayout", "synopsis", "funcsynopsis", "cmdsynopsis"}
    unread = {"indexterm", "remark", "mediaobject", "inlinemediaobject", *(f"{part}info" for part in _DOCBOOK_PARTS)}
    named = next((part for part in root.iter() if local(part) == "title"), None)
    found = tuple(
        xml_blocks(root, Shape(blocks, code, {*unread, "info"}, {"table", "informaltable"}, _docbook_heading))
    )
    title = " ".join("".join(named.itertext()).split()) if named is not None else ""
    return Page(found, title or first_heading(found), root.get(f"{XML}lang") or root.get("lang"))


def _docbook_heading(element: Any, around: list[Any]) -> Heading | None:
    if local(element) != "title" or not around or local(around[-1]) not in _DOCBOOK_PARTS:
        return None
    part = around[-1]
    depth = sum(local(outer) in _DOCBOOK_PARTS for outer in around)
    return Heading(min(depth, 6), part.get(f"{XML}id") or part.get("id") or "")


def _tei(root: Any) -> Page:
    blocks = {
        *("p", "ab", "l", "lg", "head", "item", "label", "cell", "note", "sp", "speaker", "stage", "q", "quote"),
        *("list", "row", "table", "figure", "figDesc", "text", "body", "front", "back", "group", "opener", "closer"),
        *("argument", "salute", "signed", "dateline", "epigraph", "titlePart", "docTitle", "byline", "trailer"),
        *_TEI_PARTS,
    }
    unread = {"teiHeader", "facsimile", "standOff", "fw", "sic", "orig", "abbr", "del"}
    found = tuple(xml_blocks(root, Shape(blocks, {"code", "eg"}, unread, {"table"}, _tei_heading)))
    statement = next((part for part in root.iter() if local(part) == "titleStmt"), ())
    titles = [" ".join("".join(part.itertext()).split()) for part in statement if local(part) == "title"]
    text = next((part for part in root.iter() if local(part) == "text"), root)
    lang = text.get(f"{XML}lang") or root.get(f"{XML}lang")
    return Page(found, next(filter(None, titles), "") or first_heading(found), lang)


def _tei_heading(element: Any, around: list[Any]) -> Heading | None:
    if local(element) != "head" or not around or local(around[-1]) not in _TEI_PARTS:
        return None
    depth = sum(local(outer) in _TEI_PARTS for outer in around)
    return Heading(min(depth, 6), around[-1].get(f"{XML}id") or "")


def _jats(root: Any) -> Page:
    blocks = {
        *("p", "title", "subtitle", "list-item", "td", "th", "disp-quote", "sec", "abstract", "ack", "fn", "caption"),
        *("term", "def", "def-item", "fig", "table-wrap", "boxed-text", "verse-line", "disp-formula", "statement"),
    }
    unread = {"article-meta", "journal-meta", "front-stub", "tex-math", "xref", "label", "ref-list", "object-id"}
    shape = Shape(blocks, {"code", "preformat"}, unread, {"table"}, _jats_heading)
    meta = [part for part in root.iter() if local(part) == "abstract"]
    found = tuple(block for tree in (*meta, root) for block in xml_blocks(tree, shape))
    titles = (" ".join("".join(part.itertext()).split()) for part in root.iter() if local(part) == "article-title")
    return Page(found, next(filter(None, titles), "") or first_heading(found), root.get(f"{XML}lang"))


def _jats_heading(element: Any, around: list[Any]) -> Heading | None:
    if local(element) != "title" or not around or local(around[-1]) not in ("sec", "abstract", "ack"):
        return None
    depth = sum(local(outer) in ("sec", "abstract", "ack") for outer in around)
    return Heading(min(depth, 6), around[-1].get("id") or "")
