"""Combining marks that search ignores, by the script of the letter that carries them.

Accents, vowel points and reading signs are removed where writers often omit them; marks that make another letter are
kept: vowel signs of Thai, Lao, Khmer and the scripts of India, voicing marks of kana, breve of й, hamza of ؤ, ئ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import category

from isoglot.languages.scripts import script_of

_ACCENTS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_CYRILLIC = "\u0483-\u0487"
_HEBREW = "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\ufb1e"
_ARABIC = (
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08e1\u08e3-\u08ff"
)
_SYRIAC = "\u0711\u0730-\u074a"
_ETHIOPIC = "\u135d-\u135f"
_VEDIC = "\u0951-\u0954\u1cd0-\u1cd2\u1cd4-\u1ce0\u1ce2-\u1ce8\u1ced\u1cf4\u1cf8\u1cf9"

_MARKS = f"{_ACCENTS}{_CYRILLIC}{_HEBREW}{_ARABIC}{_SYRIAC}{_ETHIOPIC}{_VEDIC}"
_MARKED = re.compile(f"([^{_MARKS}]?)([{_MARKS}]+)")
_ACCENT = re.compile(f"[{_ACCENTS}]")
_HAMZA = "\u0654"

# Cyrillic: accents that mark stress. Other accents make letters: й, ї, ў, ӣ.
_STRESS = dict.fromkeys(map(ord, "\u0300\u0301\u030f\u0311"))
# Scripts whose letters lose all accents. None stands for digits and symbols.
_WITHOUT_ACCENTS = {"Latin", "Greek", "Coptic", "Armenian", "Georgian", None}
# Letters on which a hamza above is optional: alef, and he at the end of a Persian word.
_HAMZA_IS_OPTIONAL = "\u0627\u0647\u06c1"


def without_marks(text: str) -> str:
    r"""Remove the marks that search ignores from a text in NFD and lower case.

    >>> without_marks("e\u0301te\u0301"), without_marks("е\u0308"), len(without_marks("и\u0306"))
    ('ete', 'е', 2)
    """
    return _MARKED.sub(_bare, text)


@lru_cache(maxsize=1)
def combining() -> tuple[int, ...]:
    """Return the code points of all combining marks, ascending, except the variation selectors of plane 14."""
    return tuple(code for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")


def ranges(codes: Iterable[int]) -> str:
    """Return the inside of a regex character class for ascending code points.

    >>> ranges([97, 98, 99, 120])
    'a-cx-x'
    """
    spans: list[list[int]] = []
    for code in codes:
        if spans and code == spans[-1][1] + 1:
            spans[-1][1] = code
        else:
            spans.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in spans)


def _bare(found: re.Match[str]) -> str:
    letter, marks = found.groups()
    if "\u0600" <= letter <= "\u08ff":
        if letter == "\u06d5" and _HAMZA in marks:
            return "\u0647"
        return letter + _HAMZA if _HAMZA in marks and letter not in _HAMZA_IS_OPTIONAL else letter
    # Other marks occur only on letters of their own script, and never make another letter.
    accents = "".join(_ACCENT.findall(marks))
    script = script_of(letter) if letter else None
    if not accents or script in _WITHOUT_ACCENTS:
        return letter
    if script != "Cyrillic":
        return letter + accents
    if letter == "е":
        accents = accents.replace("\u0308", "")
    stress = {code: None for code in _STRESS if chr(code) != "\u0301" or letter not in "гк"}
    return letter + accents.translate(stress)
