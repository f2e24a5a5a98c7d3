"""PDF files, through PDFium: it gives columns one after the other, and right-to-left lines as they are read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from isoglot.core.errors import MissingPackageError
from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source, clean, page_document
from isoglot.documents.page import Block, Page

# Forms that fonts use for letters: ligatures, Arabic and Hebrew presentation forms, radicals in place of ideographs.
_FORMS = re.compile("[\u2e80-\u2fdf\uf900-\ufaff\ufb00-\ufb4f\ufb50-\ufdfb\ufe70-\ufefc\uff00-\uffef]+")
_HYPHEN = re.compile("[\ufffe\x02](\r\n|\r|\n)?")  # what PDFium makes of a hyphen at the end of a line


def read_pdf(source: Source, problems: Problems) -> Iterator[Document]:
    """The text of all pages as one document, letters in place of the forms that a font has for them."""
    try:
        import pypdfium2 as pdfium
    except ImportError as error:
        raise MissingPackageError("PDF files want pypdfium2: pip install 'isoglot[search]'") from error
    try:
        file = pdfium.PdfDocument(source.path.read_bytes())
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            problems.add(source.path, None, "the PDF wants a password; save it without one")
        else:
            problems.add(source.path, None, f"not a readable PDF ({error})")
        return
    blocks, broken = [], 0
    try:
        for number in range(len(file)):
            try:
                page = file[number]
                text = page.get_textpage().get_text_range()
            except pdfium.PdfiumError:
                broken += 1
                continue
            said = clean(_readable(text))
            if said:
                blocks.append(Block(said))
        title = file.get_metadata_value("Title")
        lang = _language(file, pdfium.raw)
    finally:
        file.close()
    if broken:
        problems.warn(source.path, None, f"{broken} pages of the PDF cannot be read")
    if not blocks:
        problems.add(source.path, None, "the PDF holds no text (a scan?); recognise its text first")
        return
    yield page_document(source, Page(tuple(blocks), title, lang), sure=False)


def _readable(text: str) -> str:
    text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _FORMS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)


def _language(file: Any, raw: Any) -> str | None:
    """What the catalog declares; older PDFiums cannot tell."""
    import ctypes

    ask = getattr(raw, "FPDFCatalog_GetLanguage", None)
    if ask is None:
        return None
    buffer = ctypes.create_string_buffer(256)
    size = ask(file, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), len(buffer))
    return buffer.raw[: max(0, min(size, 256) - 2)].decode("utf-16-le", errors="replace") or None
