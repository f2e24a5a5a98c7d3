"""The normal form in which texts and queries are compared in word search; displayed texts are not changed.

NFKC and full case folding (Unicode 15, section 3.13), without invisible characters and the marks that writers omit
(`combining_marks`), and with one code point for equivalent letters (`letters`). Nothing depends on the language, since
a query's is unknown.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

from isoglot.languages.combining_marks import combining, ranges, without_marks
from isoglot.languages.equal_letters import IGNORABLE, LETTERS

_IGNORED = re.compile(f"[{IGNORABLE}]+")
# Letters formerly written with a joiner: the chillus of Malayalam, and ta without a vowel in Bengali.
_JOINED = {
    "\u0d23\u0d4d\u200d": "\u0d7a",
    "\u0d28\u0d4d\u200d": "\u0d7b",
    "\u0d30\u0d4d\u200d": "\u0d7c",
    "\u0d32\u0d4d\u200d": "\u0d7d",
    "\u0d33\u0d4d\u200d": "\u0d7e",
    "\u0d15\u0d4d\u200d": "\u0d7f",
    "\u09a4\u09cd\u200d": "\u09ce",
}
_TWO_E = "\u0e40\u0e40"  # typed for แ, which looks the same
# NFKC decomposes sara am, which dictionaries contain as one character; a tone mark may come before or inside it.
_SARA_AM = re.compile(
    "([\u0e48-\u0e4b]?)\u0e4d([\u0e48-\u0e4b]?)\u0e32|([\u0ec8-\u0ecb]?)\u0ecd([\u0ec8-\u0ecb]?)\u0eb2"
)
# Elided articles and the like are separate words: l'eau. In other scripts the apostrophe is part of the word.
_LATIN = "a-z\u00df-\u024f"
_APOSTROPHE = re.compile(f"(?<=[{_LATIN}])'(?=[{_LATIN}])")
# Spaces that group digits: 12 500. As an apostrophe they are not ends of words.
_DIGITS = re.compile("(?<=\\d)[\u00a0\u2009\u202f](?=\\d{3}(?!\\d))")


def search_form(text: str) -> str:
    """Return the search form of a text or query.

    Idempotent.

    >>> search_form("İzmir"), search_form("Straße"), search_form("ΑΘΉΝΑ"), search_form("ﾃﾞｰﾀ"), search_form("Й, Ё")
    ('izmir', 'strasse', 'αθηνα', 'データ', 'й, е')
    """
    if text.isascii():
        return _APOSTROPHE.sub(" ", text.lower().translate(LETTERS))
    return _APOSTROPHE.sub(" ", _folded(_DIGITS.sub("'", text)))


class Aligned(NamedTuple):
    """A text's search form, and the origin of each of its characters.

    Attributes:
        form: result of `search_form`.
        spans: for each character of the form, the (start, end) of the characters of the text that it comes from.
    """

    form: str
    spans: list[tuple[int, int]]


def aligned(text: str) -> Aligned:
    r"""Return a text's search form with spans into the text, for highlighting matches in the displayed text.

    >>> aligned("e\u0301ﬁ").spans
    [(0, 2), (2, 3), (2, 3)]
    """
    text = _DIGITS.sub("'", text)
    if _TWO_E not in text and not _followers().search(text):
        # Every character can be folded separately, as in most texts of most scripts.
        letters = [_folded_cluster(char) for char in text]
        spans = [(place, place + 1) for place, letter in enumerate(letters) for _ in letter]
        return Aligned(_APOSTROPHE.sub(" ", "".join(letters)), spans)
    parts: list[str] = []
    spans = []
    for found in _cluster().finditer(text):
        form = _folded_cluster(found[0])
        parts.append(form)
        spans += [found.span()] * len(form)
    return Aligned(_APOSTROPHE.sub(" ", "".join(parts)), spans)


def _folded(text: str) -> str:
    if "\u200d" in text:
        for written, letter in _JOINED.items():
            text = text.replace(written, letter)
    # A spacing acute accent is typed for an apostrophe; NFKC would turn it into a space.
    text = _IGNORED.sub("", normalize("NFKC", _IGNORED.sub("", text.replace("\u00b4", "'"))))
    # Iota subscript is treated as a mark here; case folding would turn it into a letter.
    text = normalize("NFKD", text).replace("\u0345", "").casefold()
    text = normalize("NFC", without_marks(normalize("NFKD", text)).translate(LETTERS))
    if max(text, default="") >= "\u0e00" and ("\u0e4d" in text or "\u0ecd" in text or _TWO_E in text):
        text = _SARA_AM.sub(_sara_am, text.replace(_TWO_E, "\u0e41"))
    return text


def _sara_am(found: re.Match[str]) -> str:
    thai, lao = (found[1] or "") + (found[2] or ""), (found[3] or "") + (found[4] or "")
    return f"{thai}\u0e33" if "\u0e32" in found[0] else f"{lao}\u0eb3"


@lru_cache(maxsize=65_536)
def _folded_cluster(cluster: str) -> str:
    return _folded(cluster)


@lru_cache(maxsize=1)
def _followers() -> re.Pattern[str]:
    """Return a pattern of characters that affect the form of the preceding one: marks, ignorables, joining vowels."""
    vowels = "\u1160-\u11ff\ud7b0-\ud7ff\u314f-\u3163\uffc2-\uffdc\uff9e\uff9f\u0e32\u0e33\u0eb2\u0eb3"
    return re.compile(f"[{ranges(combining())}{vowels}{IGNORABLE}]")


@lru_cache(maxsize=1)
def _cluster() -> re.Pattern[str]:
    """Return a pattern of a character and those following that affect its form."""
    return re.compile(f"(?:\u0e40[{IGNORABLE}]*\u0e40|.){_followers().pattern}*", re.DOTALL)
