"""Read Word, PowerPoint, OpenDocument and RTF files."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from zipfile import BadZipFile

from isoglot.core.errors import needs
from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Reader, Source, page_document
from isoglot.documents.page import Block, Page, first_heading
from isoglot.documents.rtf_notes import notes_last
from isoglot.documents.xml_blocks import Heading, Shape, local, xml_blocks
from isoglot.documents.zip_files import UnreadableError, unpacked, xml_root

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATHS = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING_STYLE = re.compile(r"heading (\d)", re.IGNORECASE)
_RTF_TITLE = re.compile(r"\{\\title\s((?:[^{}\\]|\\.)*)\}", re.DOTALL)
# Exceptions that parsers raise on broken files in addition to their own types.
_MET = (
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    OverflowError,
    RecursionError,
    zlib.error,
    BadZipFile,
)
_NOTES = ("/word/footnotes.xml", "/word/endnotes.xml")


def _reader(kind: str, parse: Callable[[Source], Page]) -> Reader:
    def read(source: Source, problems: Problems) -> Iterator[Document]:
        try:
            page = parse(source)
        except UnreadableError as error:
            problems.add(source.path, None, f"not a readable {kind} file: {error}")
            return
        if page.note:
            problems.warn(source.path, None, page.note)
        yield page_document(source, page, sure=False)

    return read


def _docx(source: Source) -> Page:
    """Parse paragraphs of text, tables, boxes and notes; tracked insertions are included, tracked deletions are not."""
    with needs("Word files need python-docx", "documents"):
        import docx
        from docx.exceptions import PythonDocxError
        from docx.oxml import parse_xml
        from lxml.etree import LxmlError
    with unpacked(source.path), _strange(PythonDocxError, LxmlError):
        file = docx.Document(str(source.path))
        levels = {style.style_id: _level(style.name or "") for style in file.styles}
        trees = [file.element.body]
        trees += [parse_xml(part.blob) for part in file.part.package.iter_parts() if str(part.partname) in _NOTES]
        blocks = [block for tree in trees for block in _word_blocks(tree, levels)]
        facts = file.core_properties
        return Page(tuple(blocks), facts.title or first_heading(tuple(blocks)), facts.language or None)


def _word_blocks(tree: Any, levels: dict[str, int]) -> Iterator[Block]:
    for paragraph in tree.iter(f"{_WORD}p"):
        if next(paragraph.iterancestors(_FALLBACK), None) is not None:
            continue  # a copy of the same box for older programs
        parts = []
        for node in paragraph.iter(f"{_WORD}t", f"{_WORD}tab", f"{_WORD}br", f"{_WORD}cr", _MATHS):
            if next(node.iterancestors(f"{_WORD}p")) is paragraph and next(node.iterancestors(_FALLBACK), None) is None:
                parts.append(
                    node.text or "" if node.tag in (f"{_WORD}t", _MATHS) else "\n" if node.tag[-1] == "r" else " "
                )
        said = "".join(parts).strip()
        if said:
            style = paragraph.find(f"{_WORD}pPr/{_WORD}pStyle")
            level = levels.get(style.get(f"{_WORD}val"), 0) if style is not None else 0
            tabled = next(paragraph.iterancestors(f"{_WORD}tbl"), None) is not None
            yield Block(said, level, prose=bool(level) or not tabled)


def _level(style: str) -> int:
    found = _HEADING_STYLE.match(style)
    return 1 if style == "Title" else min(int(found[1]), 6) if found else 0


def _pptx(source: Source) -> Page:
    """Parse slides in order: titles as headings, texts, tables and speaker notes."""
    with needs("PowerPoint files need python-pptx", "documents"):
        import pptx
        from lxml.etree import LxmlError
        from pptx.exc import PythonPptxError
    with unpacked(source.path), _strange(PythonPptxError, LxmlError):
        file = pptx.Presentation(str(source.path))
        blocks = []
        for slide in file.slides:
            heading = slide.shapes.title
            blocks += list(_shape_blocks(slide.shapes, heading.shape_id if heading is not None else None))
            notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
            if notes is not None and notes.text.strip():
                blocks.append(Block(notes.text.strip()))
        facts = file.core_properties
        return Page(tuple(blocks), facts.title or first_heading(tuple(blocks)), facts.language or None)


def _shape_blocks(shapes: Any, heading: int | None) -> Iterator[Block]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shape_blocks(shape.shapes, heading)
        elif getattr(shape, "has_table", False):
            cells = (cell.text.strip() for row in shape.table.rows for cell in row.cells)
            yield from (Block(cell, prose=False) for cell in cells if cell)
        elif shape.has_text_frame:
            said = shape.text_frame.text.replace("\v", "\n").strip()
            if said and shape.shape_id == heading:
                yield Block(" ".join(said.split()), 2)
            elif said:
                yield from (Block(line.strip()) for line in said.split("\n") if line.strip())


def _opendocument(source: Source) -> Page:
    with unpacked(source.path) as archive:
        content = xml_root(archive.read("content.xml"))
        facts = xml_root(archive.read("meta.xml")) if "meta.xml" in archive.namelist() else ()
    blocks = tuple(xml_blocks(content, _OPEN_DOCUMENT))
    said = {local(part): " ".join("".join(part.itertext()).split()) for meta in facts for part in meta}
    return Page(blocks, said.get("title") or first_heading(blocks), said.get("language"))


def _open_heading(element: Any, around: list[Any]) -> Heading | None:
    if local(element) != "h":
        return None
    level = next((value for key, value in element.attrib.items() if key.endswith("}outline-level")), "1")
    return Heading(min(int(level), 6) if level.isdecimal() and int(level) else 1)


def _open_shown(element: Any) -> str:
    return " " if local(element) in ("s", "tab", "line-break") else ""


_OPEN_DOCUMENT = Shape(
    blocks={"p", "h", "list-item", "table-cell", "note", "frame", "page", "section"},
    code=(),
    unread={
        *("tracked-changes", "annotation", "note-citation", "sequence-decls", "automatic-styles", "font-face-decls"),
        *("scripts", "master-styles", "table-of-content", "event-listeners", "variable-decls", "date-time-decl"),
    },
    tables={"table"},
    heading=_open_heading,
    shown=_open_shown,
)


def _rtf(source: Source) -> Page:
    with needs("RTF files need striprtf", "documents"):
        from striprtf.striprtf import rtf_to_text
    data = source.path.read_bytes().decode("latin-1")
    if not data.lstrip().startswith("{\\rtf"):
        raise UnreadableError("it does not begin with {\\rtf")
    with _strange():
        data, open_groups = notes_last(data)
        said = rtf_to_text(data, errors="replace")
        title = _RTF_TITLE.search(data)
        # striprtf separates cells by bars and puts a bullet and a tab before list items.
        cells = (cell.strip().removeprefix("•\t") for line in said.split("\n") for cell in line.split("|"))
        lines = tuple(Block(cell) for cell in cells if cell)
        called = rtf_to_text("{\\rtf1\\ansi " + title[1] + "}", errors="replace").strip() if title else ""
        return Page(
            lines, called, note="the file is truncated; the text before that point was read" if open_groups else ""
        )


@contextmanager
def _strange(*own: type[Exception]) -> Iterator[None]:
    """Convert all exceptions that a parser raises on broken files, its own types and others, to `UnreadableError`."""
    errors: tuple[type[Exception], ...] = (*own, *_MET)
    try:
        yield
    except errors as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"{type(error).__name__}: {str(error)[:200]}") from error


read_docx = _reader("Word", _docx)
read_pptx = _reader("PowerPoint", _pptx)
read_opendocument = _reader("OpenDocument", _opendocument)
read_rtf = _reader("RTF", _rtf)
