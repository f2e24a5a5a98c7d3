"""Decode the bytes of a text file in whatever encoding they were written."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from isoglot.core.errors import needs
from isoglot.languages.detection import rank

ENCODINGS = (
    "UTF-8 or UTF-16 (with or without a mark), one that the file declares, or what charset-normalizer recognises"
)

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is a prefix of it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# First bytes of images, archives, programs, audio and other binary files, some of which would pass for UTF-16.
_PICTURES_AND_PROGRAMS = (
    *(
        b"\x89PNG\r\n",
        b"\xff\xd8\xff",
        b"GIF87a",
        b"GIF89a",
        b"RIFF",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"%PDF-",
        b"\x7fELF",
    ),
    *(
        b"\xd0\xcf\x11\xe0",
        b"7z\xbc\xaf",
        b"BZh",
        b"\xfd7zXZ",
        b"OggS",
        b"ID3\x03",
        b"ID3\x04",
        b"SQLite format 3",
        b"wOFF",
    ),
)
_DECLARED = re.compile(
    rb"""<\?xml[^>]*?\bencoding\s*=\s*["']([\w.:-]+)|<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_NOT_SHOWN = re.compile(
    rb"<!--.*?(?:-->|\Z)|<(script|style)\b.*?(?:</\1\s*>|\Z)|<[a-z/!?][^<>]*>", re.IGNORECASE | re.DOTALL
)
# Encoding labels that browsers know and Python does not (https://encoding.spec.whatwg.org/#names-and-labels).
_NAMED = {
    **{f"x-cp125{number}": f"cp125{number}" for number in range(9)},
    "windows-874": "cp874",
    "dos-874": "cp874",
    "iso-8859-8-i": "iso8859_8",
    "logical": "iso8859_8",
    "visual": "iso8859_8",
    "koi": "koi8_r",
    "koi8": "koi8_r",
    "koi8-ru": "koi8_u",
    "mac": "mac_roman",
    "x-mac-roman": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ukrainian": "mac_cyrillic",
    "gb_2312": "gb18030",
    "gb_2312-80": "gb18030",
    "x-gbk": "gb18030",
    "cn-big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "x-euc-jp": "euc_jp",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "windows-949": "cp949",
    "ksc_5601": "cp949",
    "ks_c_5601-1989": "cp949",
}
# What browsers decode instead when one of these is declared.
_MEANT = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
# Legacy encodings still in use, and the languages written in them; charset-normalizer alone, without this list, takes
# Windows-1251 for Mac Cyrillic.
_GUESSED = {
    "cp1252": "de fr es pt it nl sv da no nb nn fi en is ca gl eu id ms sw af ga sq",
    "cp1251": "ru uk bg sr mk be kk ky mn tg",
    "cp1250": "pl cs sk hu sl hr bs ro",
    "iso8859_2": "pl cs sk hu sl hr bs ro",
    "cp1253": "el",
    "cp1254": "tr az",
    "cp1255": "he",
    "cp1256": "ar fa ur",
    "cp1257": "lt lv et",
    "cp1258": "vi",
    "cp874": "th",
    "koi8_r": "ru",
    "koi8_u": "uk",
    "cp866": "ru",
    "iso8859_5": "ru bg sr mk",
    "gb18030": "zh",
    "big5": "zh",
    "cp932": "ja",
    "euc_jp": "ja",
    "cp949": "ko",
    "mac_roman": "de fr es pt it nl sv da no nb fi en",
    "mac_greek": "el",
    "cp437": "de en fr es it sv",
    "cp850": "de fr es pt it nl sv da no nb fi en",
    "cp852": "pl cs sk hu",
    "cp857": "tr",
}
# Unicode categories of what letters become in a wrong code page: combining or spacing accents, symbols.
_SIGNS = ("Mn", "Sk", "Sm", "So", "Sc", "Lm")
# Non-ASCII characters (U+FFFD included) per replacement that make a text UTF-8; a line in a legacy encoding reaches 5.
_MOSTLY = 6
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class Decoded(NamedTuple):
    """The decoded text of a file.

    Attributes:
        text: the text; line ends are newlines.
        encoding: Python's name of the encoding.
        guessed: whether the encoding was guessed from the bytes alone.
        lost: how many times invalid bytes were replaced by U+FFFD.
    """

    text: str
    encoding: str
    guessed: bool = False
    lost: int = 0

    @property
    def note(self) -> str:
        """A warning for the user (guessed encoding, replaced bytes); empty if there is none."""
        if self.guessed:
            return f"not UTF-8; read as {self.encoding}, which is a guess"
        places = "1 place" if self.lost == 1 else f"{self.lost} places"
        return f"bytes that are not {self.encoding} in {places}, replaced by \ufffd" if self.lost else ""


def decode(data: bytes, *, markup: bool = False) -> Decoded | None:
    """Decode the bytes of a file; None if it is a binary file or no encoding fits.

    Tried in this order: a byte order mark (BOM); ISO-2022 by its escapes; UTF-32 and UTF-16 by their byte patterns;
    UTF-8, also with a few invalid bytes; the encoding that the file declares; what charset-normalizer detects.

    Args:
        data: the bytes of the whole file.
        markup: whether the file is HTML or XML, which may declare its encoding.

    Raises:
        MissingPackageError: charset-normalizer is needed and not installed.

    >>> decode("Größe".encode("cp1252")).encoding
    'cp1252'
    """
    if data.startswith(_PICTURES_AND_PROGRAMS) and not _is_plain(data):
        return None
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _replaced(data[len(mark) :], encoding)
    attempts = _escaped(data)
    unmarked = None if attempts else _wide(data)
    if unmarked is not None:
        wide = _replaced(data, unmarked)
        if wide.lost * 1000 <= len(wide.text) + 1000:
            return wide
    for encoding in (*attempts, "utf-8"):
        try:
            return _decoded(data.decode(encoding), encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    utf8 = _replaced(data, "utf-8")
    # A truncated file, or several concatenated. Letters in another encoding are hardly ever valid UTF-8 by chance.
    if sum(char > "\x7f" for char in utf8.text) > _MOSTLY * utf8.lost:
        return utf8
    declared = _declared(data) if markup else None
    if declared is not None:  # a few invalid bytes are fine: browsers show the rest
        rest = _replaced(data, declared)
        if rest.lost * 100 < max(1, len(rest.text)):
            return rest
    return _guess(data, _telling(data, markup=markup))


def _telling(data: bytes, *, markup: bool) -> bytes:
    """Return the lines with bytes beyond ASCII; of markup what is shown, as a page may begin with pages of script."""
    text = _NOT_SHOWN.sub(b" ", data) if markup else data
    return b"\n".join(line.strip() for line in re.split(rb"[\r\n]+", text) if not line.isascii()) or data


def _replaced(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, errors="replace")
    # Count replacements only: the file may itself contain U+FFFD.
    lost = len(text) - len(data.decode(encoding, errors="ignore")) if "\ufffd" in text else 0
    return _decoded(text, encoding, lost=lost)


def _decoded(text: str, encoding: str, *, guessed: bool = False, lost: int = 0) -> Decoded:
    return Decoded(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), encoding, guessed, lost)


def _is_plain(data: bytes) -> bool:
    """Whether bytes are certainly text: valid UTF-8 without control characters."""
    return not _NO_TEXT.search(data) and _is_utf8(data)


def _escaped(data: bytes) -> list[str]:
    """Return the ISO-2022 encodings to try for 7-bit bytes with the escapes that announce character sets."""
    if (b"\x1b$" not in data and b"\x1b(" not in data) or not data.isascii():
        return []
    return ["iso2022_kr"] if data.startswith(b"\x1b$)C") else ["iso2022_jp_2", "iso2022_jp_2004", "iso2022_jp_3"]


def _wide(data: bytes) -> str | None:
    """Detect UTF-32 or UTF-16 without a BOM; hardly any other bytes are valid UTF-32 by chance."""
    if len(data) % 4 == 0 and 0 in data[:4]:
        for name in ("utf-32-le", "utf-32-be"):
            try:
                data.decode(name)
            except UnicodeDecodeError:
                continue
            return name
    return _utf16(data)


def _utf16(data: bytes) -> str | None:
    """Detect UTF-16 without a BOM: many control bytes (rare in 8-bit text), and letters from few Unicode blocks."""
    part = data[:4000]
    part = part[: len(part) // 2 * 2]
    many = len(_NO_TEXT.findall(part)) * 20 > len(part)
    if len(part) < 4 or not (many or (0 in part and not _is_utf8(data))):
        return None
    best, encoding = 0.6, None
    first, second = len(set(part[::2])), len(set(part[1::2]))
    for name, high, low in (("utf-16-le", second, first), ("utf-16-be", first, second)):
        # Letters of one block share their high byte, so the order with fewer different high bytes gets a bonus: in the
        # wrong byte order, too, letters may fall into one block.
        share = _coherence(part.decode(name, errors="replace")) + 0.2 * (high < low)
        if share > best:
            best, encoding = share, name
    return encoding


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _coherence(text: str) -> float:
    """Share of characters in the Unicode block of the letter before; spaces, signs and ASCII fit any, controls none."""
    fits, before = 0, None
    for char in text:
        kind = unicodedata.category(char)
        if kind in ("Cc", "Cn", "Co", "Cs") and char not in "\t\n\r":
            continue
        code = ord(char)
        if char == "\ufffd":
            continue
        neutral = kind[0] in "ZPNSC" or code < 0x80
        block = 0x4E if 0x3400 <= code < 0xA000 else 0xAC if 0xAC00 <= code < 0xD7A4 else code >> 8
        block = {0x30: 0x4E, 0x01: 0x00, 0x1E: 0x00, 0x1F: 0x03, 0x13: 0x12}.get(block, block)
        fits += neutral or before in (None, block)
        if not neutral or before is None:
            before = block
    return fits / max(1, len(text))


def _declared(data: bytes) -> str | None:
    """Return Python's name of the encoding declared at the start of an HTML or XML file; None for none or UTF."""
    found = _DECLARED.search(data[:4096])
    if found is None:
        return None
    try:
        said = (found[1] or found[2]).decode("ascii").lower()
        name = codecs.lookup(_NAMED.get(said, said)).name
        b"".decode(name)
    except (LookupError, UnicodeDecodeError):
        return None
    name = _MEANT.get(name, name)
    return None if name.startswith("utf") else name


def _guess(data: bytes, telling: bytes) -> Decoded | None:
    """Decode with the most likely of the encodings that charset-normalizer finds plausible (see `_likelihood`).

    Args:
        data: the bytes of the whole file.
        telling: the part of them by which the encoding is chosen.
    """
    with needs("texts that are not UTF-8 need charset-normalizer", "search"):
        from charset_normalizer import from_bytes
    matches = from_bytes(telling, cp_isolation=list(_GUESSED))
    ranked = sorted(
        (-_likelihood(str(match), match.could_be_from_charset), number) for number, match in enumerate(matches)
    )
    best = matches[ranked[0][1]] if ranked else from_bytes(data).best()
    if best is None:
        return None
    # Several encodings may give the same text; report the most common of them.
    same = [encoding for encoding in _GUESSED if encoding in best.could_be_from_charset]
    encoding = same[0] if same else best.encoding
    return _decoded(data.decode(encoding, errors="replace") if ranked else str(best), encoding, guessed=True)


def _likelihood(text: str, encodings: Iterable[str]) -> float:
    """Score a decoded text: probability of a language written in these encodings, plus coherence, minus symbols."""
    text = text[:2000]
    written = {lang for encoding in encodings for lang in _GUESSED.get(encoding, "").split()}
    sure = sum(probability for lang, probability in rank(text) if lang in written)
    signs = sum(unicodedata.category(char) in _SIGNS for char in text) / max(1, len(text))
    return sure + _coherence(text) - 4 * signs
