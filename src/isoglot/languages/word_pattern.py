"""What a word is: letters with their marks, a run of a script without spaces, a symbol."""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category

from isoglot.languages.combining_marks import combining, ranges

# Scripts without spaces between words, or (Korean) with endings attached to words: Thai, Lao, Myanmar, Tai scripts,
# Hangul, Khmer, Buginese, Balinese, Javanese, kana, Bopomofo, Han, Yi, Vai, cuneiform, hieroglyphs, Tangut, Khitan,
# Nushu.
_BLOCKS = (
    "0e00-0eff 1000-109f 1100-11ff 1780-17ff 1950-19ff 1a00-1aaf 1b00-1b7f 3005-3007 3021-3029 303b-303b 3040-318f "
    "31a0-31bf 31f0-31ff a000-a4cf a500-a63f a960-a97f a980-a9ff aa60-aadf ac00-d7ff 12000-1254f 13000-1345f "
    "14400-1467f 16fe0-16fff 17000-18dff 1aff0-1b2ff"
)
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Vowels of Thai and Lao that are written before the consonant after which they are pronounced.
_BEFORE = "\u0e40-\u0e44\u0ec0-\u0ec4"
# Apostrophes and quotation marks within a word; elsewhere they separate words, as apostrophes do in Latin script.
_WITHIN = "(?<=[\u0400-\u052f])'(?=[\u0400-\u052f])|(?<=[\u05d0-\u05ea])['\"](?=[\u05d0-\u05ea])"

# Signs that make another name of a single letter: C++, C#, A+.
_AFTER_LETTER = {"+", "++", "#"}


def is_unspaced(word: str) -> bool:
    """Return whether a match of `word_pattern` is in a script that is searched by characters and pairs.

    >>> is_unspaced("图书馆"), is_unspaced("도서관"), is_unspaced("book")
    (True, True, False)
    """
    return bool(_starts_unspaced().match(word))


@lru_cache(maxsize=1)
def word_pattern() -> re.Pattern[str]:
    """Return a pattern of a word with combining marks, a run of a script without spaces, or a symbol such as emoji.

    A single letter and the signs after it are one word, as in C++ and C#: without them it would be another name.
    """
    unspaced = _unspaced()
    marks = ranges(code for code in combining() if not is_unspaced(chr(code)))
    word = f"{spaced()}+(?:[{marks}]+{spaced()}*)*"
    # Without U+2044, the fraction slash that NFKC makes of ½.
    signs = ranges(
        code for code in range(0xA0, 0x1FC00) if category(chr(code)) in {"So", "Sc", "Sm"} and code != 0x2044
    )
    flag = "[\U0001f1e6-\U0001f1ff]{2}"
    letter = f"[^\\W\\d_{unspaced}]"
    signed = f"{letter}(?:{plus().pattern}|#(?!{letter}))"
    return re.compile(f"[{unspaced}]+|{signed}|{word}(?:(?:{_WITHIN}){word})*|{flag}|[{signs}]")


@lru_cache(maxsize=1)
def plus() -> re.Pattern[str]:
    """Return a pattern of + or ++ at the end of a word; a script without spaces may follow."""
    return re.compile(f"\\+\\+|\\+(?!{spaced()})")


@lru_cache(maxsize=1)
def spaced() -> str:
    """Return the class of the letters and digits of words that spaces end."""
    return f"[^\\W{_unspaced()}]"


def clusters(stretch: str) -> list[str]:
    """Split a run of a script without spaces into characters, each with its marks and a vowel written before it.

    >>> clusters("ไปที่ไหน"), clusters("图书")
    (['ไป', 'ที่', 'ไห', 'น'], ['图', '书'])
    """
    return _cluster().findall(stretch)


def is_signed(word: str) -> bool:
    """Return whether a word is a single letter with signs.

    >>> is_signed("c++"), is_signed("c"), is_signed("notepad++")
    (True, False, False)
    """
    return word[1:] in _AFTER_LETTER


@lru_cache(maxsize=1)
def _unspaced() -> str:
    """Return the character class of the blocks' letters, digits and marks, without punctuation."""
    bounds = [[int(end, 16) for end in block.split("-")] for block in _BLOCKS.split()]
    codes = (code for first, last in bounds for code in range(first, last + 1))
    return ranges(code for code in codes if category(chr(code))[0] in "LMN") + _HAN


@lru_cache(maxsize=1)
def _starts_unspaced() -> re.Pattern[str]:
    return re.compile(f"[{_unspaced()}]")


@lru_cache(maxsize=1)
def _cluster() -> re.Pattern[str]:
    return re.compile(f"(?:[{_BEFORE}](?=.))?.[{ranges(combining())}]*", re.DOTALL)
