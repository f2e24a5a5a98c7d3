"""Search terms of a text: words, their beginnings and compounds; in scripts without spaces, characters and pairs."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from isoglot.languages.compounds import compounds
from isoglot.languages.normal_form import search_form
from isoglot.languages.word_pattern import clusters, is_signed, is_unspaced, word_pattern

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


def search_terms(form: str, *, beginnings: bool = True, signs: bool = True) -> list[str]:
    """Return the search terms of a search form: words, their beginnings and compounds, symbols; in scripts without
    spaces, single characters and pairs of adjacent ones.

    So a word is also found with another ending, and any part of a word in a script without spaces finds it (`圖書`
    finds 圖書館), without a dictionary and without knowing the language. A word's own form matches in both terms.

    Args:
        form: as returned by `search_form`.
        beginnings: False for the terms of indexes made before they included beginnings.
        signs: False for those of indexes made before they included compounds, and signs after a single letter.

    >>> search_terms("ein kleines e-book 图书馆")
    ['ein', 'kleines', 'klei*', 'e', 'book', '图', '书', '馆', '图书', '书馆', 'ebook']
    >>> search_terms("c++"), search_terms("c++", signs=False)
    (['c++'], ['c'])
    """
    terms: list[str] = []
    for word in word_pattern().findall(form):
        if is_unspaced(word):
            parts = clusters(word)
            terms += [*parts, *map("".join, pairwise(parts))]
            continue
        if not signs and is_signed(word):
            word = word[0]
        terms.append(word)
        # The asterisk distinguishes a beginning from a word: java is not the beginning of javascript.
        if beginnings and (first := beginning(word)):
            terms.append(f"{first}*")
    return [*terms, *(one.term for one in compounds(form))] if signs else terms


def query_terms(query: str, *, beginnings: bool = True, signs: bool = True) -> list[str]:
    """Return the different search terms of a query.

    Args:
        query: as typed.
        beginnings: as in `search_terms`.
        signs: as in `search_terms`.

    >>> query_terms("C++ or c++")
    ['c++', 'or']
    """
    return list(dict.fromkeys(search_terms(search_form(query), beginnings=beginnings, signs=signs)))


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
    if not word[0].isalpha() or is_signed(word) or any(map(str.isnumeric, word)):
        return ""
    least, kept = (5, 4) if _ALPHABETS.match(letters) else (3, 3)
    return letters[:kept] if len(letters) >= least else ""
