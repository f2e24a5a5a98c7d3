"""Words of a search form, in scripts with and without spaces between words."""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category

# Written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_STARTS_UNSPACED = re.compile(f"[{_UNSPACED}]")


def is_unspaced(word: str) -> bool:
    """Whether a word of `word_pattern` is a stretch of a script that writes no spaces.

    >>> is_unspaced("图书馆"), is_unspaced("book")
    (True, False)
    """
    return bool(_STARTS_UNSPACED.match(word))


@lru_cache(maxsize=1)
def word_pattern() -> re.Pattern[str]:
    """A word with its combining marks and apostrophes, or a stretch of a script without spaces."""
    marks = "".join(char for char in map(chr, range(0x300, 0x10000)) if category(char)[0] == "M")
    spaced = re.sub(f"[{_UNSPACED}]", "", marks)
    word = f"[^\\W{_UNSPACED}]+(?:[{spaced}]+[^\\W{_UNSPACED}]*)*"
    return re.compile(f"[{_UNSPACED}]+|{word}(?:['\"]{word})*")


def index_terms(form: str) -> list[str]:
    """What a search form is found by: words; of scripts without spaces, characters and pairs of neighbours.

    >>> index_terms("ein buch 图书馆")
    ['ein', 'buch', '图', '书', '馆', '图书', '书馆']
    """
    terms: list[str] = []
    for word in word_pattern().findall(form):
        if is_unspaced(word):
            terms += [*word, *_pairs(word)]
        else:
            terms.append(word)
    return terms


def query_terms(form: str) -> list[str]:
    """What a query's search form looks for: words; of scripts without spaces, pairs, or a character that is alone.

    >>> query_terms("buch 图书馆 书")
    ['buch', '图书', '书馆', '书']
    """
    terms: list[str] = []
    for word in word_pattern().findall(form):
        terms += (_pairs(word) or [word]) if is_unspaced(word) else [word]
    return terms


def _pairs(word: str) -> list[str]:
    return [word[place : place + 2] for place in range(len(word) - 1)]
