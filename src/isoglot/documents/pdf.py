"""Read PDF files with PDFium, which returns columns one after the other and right-to-left text in reading order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from rich.cells import cell_len

from isoglot.core.errors import needs
from isoglot.core.problems import Problems
from isoglot.documents.document import Document, Source, clean, page_document
from isoglot.documents.page import Block, Page

# Compatibility forms of letters in fonts: ligatures, Arabic and Hebrew presentation forms, radicals for ideographs.
_FORMS = re.compile("[\u2e80-\u2fdf\uf900-\ufaff\ufb00-\ufb4f\ufb50-\ufdfb\ufe70-\ufefc\uff00-\uffef]+")
_LAM_ALEF = re.compile("[\u0622\u0623\u0625\u0627\u0671]\u0644")
_IDEOGRAPH = re.compile("[\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SHORTEST = 20  # minimum width of a full line, in terminal cells
_HYPHEN = re.compile("[\ufffe\x02](\r\n|\r|\n)?")  # PDFium's substitute for a hyphen at the end of a line


def read_pdf(source: Source, problems: Problems) -> Iterator[Document]:
    """Read the text of all pages as one document, with compatibility forms of letters normalised."""
    with needs("PDF files need pypdfium2", "search"):
        import pypdfium2 as pdfium
    try:
        file = pdfium.PdfDocument(source.path.read_bytes())
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            problems.add(source.path, None, "the PDF needs a password; save it without one")
        else:
            problems.add(source.path, None, f"not a readable PDF ({error})")
        return
    blocks, broken = [], 0
    try:
        for number in range(len(file)):
            try:
                page = file[number]
                text = _joined(page.get_textpage(), pdfium.raw)
            except pdfium.PdfiumError:
                broken += 1
                continue
            said = clean(readable(text))
            if said:
                blocks.append(Block(said))
        title = file.get_metadata_value("Title")
        lang = _language(file, pdfium.raw)
    finally:
        file.close()
    if broken:
        problems.warn(source.path, None, f"{broken} pages of the PDF cannot be read")
    if not blocks:
        problems.add(source.path, None, "the PDF holds no text (a scan?); run text recognition (OCR) first")
        return
    yield page_document(source, Page(tuple(blocks), title, lang), sure=False)


def _joined(page: Any, raw: Any) -> str:
    """Return the text of a page; restore the order of lam-alef, which PDFium swaps if a font has one glyph for it."""
    text = str(page.get_text_range())
    letters = list(text)
    for found in _LAM_ALEF.finditer(text):
        place = found.start()
        if [raw.FPDFText_GetUnicode(page, place + step) for step in (0, 1)] != [ord(letter) for letter in found[0]]:
            continue  # indices differ because of earlier characters outside the basic plane
        if page.get_charbox(place) == page.get_charbox(place + 1):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def readable(text: str) -> str:
    """Clean the text of a page: normalise letter forms, remove hyphens at line ends, join words split over lines."""
    text = _HYPHEN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _unbroken(_FORMS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text))


def _unbroken(text: str) -> str:
    """Join full lines that end in an ideograph or kana with the next line, as these scripts break within words."""
    lines = text.split("\n")
    widths = [cell_len(line) for line in lines]
    full = max(0.7 * max(widths), _SHORTEST)
    joined = lines[:1]
    for width, (before, line) in zip(widths, pairwise(lines), strict=False):
        if width >= full and _IDEOGRAPH.match(before[-1:]) and _IDEOGRAPH.match(line):
            joined[-1] += line
        else:
            joined.append(line)
    return "\n".join(joined)


def _language(file: Any, raw: Any) -> str | None:
    """Return the language declared in the PDF's catalog; None if there is none."""
    import ctypes

    buffer = ctypes.create_string_buffer(256)
    size = raw.FPDFCatalog_GetLanguage(file, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), len(buffer))
    return buffer.raw[: max(0, min(size, 256) - 2)].decode("utf-16-le", errors="replace") or None
