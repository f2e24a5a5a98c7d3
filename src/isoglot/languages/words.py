"""Search terms of a text: its words and their beginnings; in scripts without spaces, single characters and pairs."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
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

# A beginning has four letters in alphabets, three in scripts in which vowels are omitted, or marks, or syllables are
# characters. Words of four letters have none in alphabets: in Vietnamese, where most words are that short, they would
# count twice.
_ALPHABETS = re.compile("[a-z\u00df-\u058f\u10a0-\u10ff\u1e00-\u1fff\u2c00-\u2dff]")
# The Arabic article with the conjunctions and prepositions written before it, and "and", as in light stemming (Larkey
# and others 2002). A first letter waw of the word itself cannot be told from "and", so it goes after an article too.
_ARTICLE = re.compile("^(?:و+(?=...))?(?:(?:[بكف]?ال|لل)(?=..))?(?:و+(?=...))?")
# Nasals of Devanagari before a consonant of their own class, for which an anusvara is as common: हिन्दी, हिंदी.
_NASALS = re.compile(
    "(?<=[\u0900-\u097f])(?:ङ\u094d(?=[क-घ])|ञ\u094d(?=[च-झ])|ण\u094d(?=[ट-ढ])|न\u094d(?=[त-ध])|म\u094d(?=[प-भ])|\u0901)"
)
# The nukta of loan words, which is often omitted: ज़मीन, जमीन. That of ड़ and ढ़ is not.
_NUKTA = re.compile("(?<=[कखगजफ])\u093c")


def is_unspaced(word: str) -> bool:
    """Return whether a match of `word_pattern` is in a script that is searched by characters and pairs.

    >>> is_unspaced("图书馆"), is_unspaced("도서관"), is_unspaced("book")
    (True, True, False)
    """
    return bool(_starts_unspaced().match(word))


@lru_cache(maxsize=1)
def word_pattern() -> re.Pattern[str]:
    """Return a pattern of a word with combining marks, a run of a script without spaces, or a symbol such as emoji."""
    unspaced = _unspaced()
    marks = ranges(code for code in combining() if not is_unspaced(chr(code)))
    word = f"[^\\W{unspaced}]+(?:[{marks}]+[^\\W{unspaced}]*)*"
    # Without U+2044, the fraction slash that NFKC makes of ½.
    signs = ranges(
        code for code in range(0xA0, 0x1FC00) if category(chr(code)) in {"So", "Sc", "Sm"} and code != 0x2044
    )
    flag = "[\U0001f1e6-\U0001f1ff]{2}"
    return re.compile(f"[{unspaced}]+|{word}(?:(?:{_WITHIN}){word})*|{flag}|[{signs}]")


def clusters(stretch: str) -> list[str]:
    """Split a run of a script without spaces into characters, each with its marks and a vowel written before it.

    >>> clusters("ไปที่ไหน"), clusters("图书")
    (['ไป', 'ที่', 'ไห', 'น'], ['图', '书'])
    """
    return _cluster().findall(stretch)


def search_terms(form: str, *, beginnings: bool = True) -> list[str]:
    """Return the search terms of a search form, the same for texts and queries: words and their beginnings, symbols; in
    scripts without spaces, single characters and pairs of adjacent ones.

    So a word is also found with another ending, and any part of a word in a script without spaces finds it (`圖書`
    finds 圖書館), without a dictionary and without knowing the language. A word's own form matches in both terms.

    Args:
        form: as returned by `search_form`.
        beginnings: False for the terms of indexes made before they included beginnings.

    >>> search_terms("ein kleines buch 图书馆")
    ['ein', 'kleines', 'klei*', 'buch', '图', '书', '馆', '图书', '书馆']
    """
    terms: list[str] = []
    for word in word_pattern().findall(form):
        if is_unspaced(word):
            parts = clusters(word)
            terms += [*parts, *map("".join, pairwise(parts))]
            continue
        terms.append(word)
        # The asterisk distinguishes a beginning from a word: java is not the beginning of javascript.
        if beginnings and (first := beginning(word)):
            terms.append(f"{first}*")
    return terms


def stem(word: str) -> str:
    """Return a word without an Arabic article and particles before it, nor a waw before three letters; one in
    Devanagari with an anusvara for nasals before consonants, and without the nukta of loan words.

    >>> stem("والكتاب"), stem("हिन्दी") == "हिंदी", stem("जन्म") == "जन्म", stem("book")
    ('كتاب', True, True, 'book')
    """
    return _NUKTA.sub("", _NASALS.sub("\u0902", _ARTICLE.sub("", word)))


@lru_cache(maxsize=65_536)
def beginning(word: str) -> str:
    """Return the beginning that a word shares with its inflected forms; empty if it is short, or has digits.

    The first four letters of a word of five or more in an alphabet; elsewhere the first three. Truncation finds about
    as much as a stemmer for each language (McNamee, Nicholas and Mayfield 2009), and needs to know none.

    >>> beginning("straßen"), beginning("الكتاب"), beginning("haus"), beginning("utf16le")
    ('stra', 'كتا', '', '')
    """
    letters = stem(word)
    if not word[0].isalpha() or any(map(str.isnumeric, word)):
        return ""
    least, kept = (5, 4) if _ALPHABETS.match(letters) else (3, 3)
    return letters[:kept] if len(letters) >= least else ""


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
