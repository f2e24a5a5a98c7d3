"""Terms of words that are written with signs: E-Mail, AB-123/45, 3.11, 12,500, .NET, Notepad++."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from isoglot.languages.word_pattern import is_unspaced, plus, spaced, word_pattern

# Hyphens, slashes, stops, brackets and the like join words if there are up to three and no space. Apostrophes do not:
# in French and Italian they would make a term of every article with its noun.
_SIGN = "[-\u2010\u2013\u05be\u00b7\u2044/\\\\.:,&@()+#\u066b\u066c]"
_SIGNS = re.compile(f"{_SIGN}(?=\\S)|\\+|(?<=\\d)'(?=\\d)")
_BETWEEN = re.compile(f"{_SIGN}{{1,3}}")
# 12,500, 12.500, 12'500, and 12,50,000 as in India; not within a longer sequence.
_GROUPED = re.compile("(?<!\\d)(?<!\\d[.,'\u066c])[1-9]\\d{0,2}([.,'\u066c])(?:\\d{2,3}\\1)*\\d{3}(?!\\d|\\1\\d)")
_SHORT = 6  # characters of two words that are often written as one: Wi-Fi, log-in
_MOST = 8  # words in one term, as in an IPv6 address
_LONG = 7  # characters of a number that is the same with and without hyphens, as an ISBN is


class Compound(NamedTuple):
    """A term, and where it is in the search form: its first character, and the one after its last."""

    term: str
    start: int
    end: int


def compounds(form: str) -> Iterator[Compound]:
    """Yield the terms of words that are joined by signs or have one at an end, and of grouped digits.

    Two neighbours joined by signs are a term without them, so that E-Mail and Email meet, if there are digits, a single
    letter, or no more than six in all: longer words find their texts by themselves, and would have too much weight with
    another term. So are three to eight. Between two digits a hyphen remains (3.11 and 3-11 meet, 311 does not), unless
    a term of three or more words is long. A word may begin with a dot, # or @, and end with + or ++. Grouped digits
    (12,500) are one number.

    Args:
        form: a search form.

    >>> [term for term, _, _ in compounds("ab-12/34 of .net for 12,500.99")]
    ['ab12', '12-34', '.net', '12500', '12500-99']
    """
    done = 0
    for sign in _SIGNS.finditer(form):
        if sign.start() < done:
            continue
        start = form.rfind(" ", done, sign.start()) + 1 or done
        done = form.find(" ", sign.end())
        done = len(form) if done < 0 else done
        chain: list[Compound] = []
        for word in _words(form, start, done):
            if word.end - word.start > len(word.term):
                yield word
            else:
                yield from _with_signs(form, word)
            if chain and not _BETWEEN.fullmatch(form, chain[-1].end, word.start):
                yield from _joined(chain)
                chain = []
            chain.append(word)
        yield from _joined(chain)


def _words(form: str, start: int, end: int) -> Iterator[Compound]:
    """Yield the words of a part of a form, and in place of grouped digits their number."""
    numbers = {found.start(): found for found in _GROUPED.finditer(form, start, end)}
    last = start
    for found in word_pattern().finditer(form, start, end):
        if found.start() < last or is_unspaced(found[0]):
            continue
        number = numbers.get(found.start())
        last = (number or found).end()
        yield Compound(re.sub(r"\D", "", number[0]) if number else found[0], found.start(), last)


def _with_signs(form: str, word: Compound) -> Iterator[Compound]:
    """Yield a word with a sign before it, and with those after it."""
    term, start, end = word
    before = form[start - 1 : start]
    if before and before in ".#@" and term[0].isalpha() and not _preceded().search(form, max(0, start - 2), start - 1):
        yield Compound(before + term, start - 1, end)
    if term[-1].isalpha() and (after := plus().match(form, end)):
        yield Compound(term + after[0], start, after.end())


def _joined(chain: Sequence[Compound]) -> Iterator[Compound]:
    """Yield the terms of words joined by signs: of neighbours, and of all if there are three to eight."""
    pairs = list(pairwise(chain))
    whole = 1 < len(pairs) < _MOST
    numeric = False
    for one, two in pairs:
        meeting = one.term[-1].isdigit() and two.term[0].isdigit()
        numeric = numeric or meeting
        if _may_be_one(one.term, two.term):
            yield Compound(f"{one.term}{'-' if meeting else ''}{two.term}", one.start, two.end)
        else:
            whole = False
    term = "".join(word.term for word in chain) if whole else ""
    if len(term) >= _LONG or (term and not numeric):
        yield Compound(term, chain[0].start, chain[-1].end)


def _may_be_one(one: str, two: str) -> bool:
    """Return whether two joined words are often written as one, or say little by themselves."""
    return len(one) == 1 or len(two) == 1 or len(one + two) <= _SHORT or any(map(str.isdigit, one + two))


@lru_cache(maxsize=1)
def _preceded() -> re.Pattern[str]:
    """Return a pattern of what may stand before a sign that begins no word: a.b, f().b, ...b."""
    return re.compile(rf"{spaced()}|[.)\]]")
