"""Marks that search does without, by the script of the letter that they stand on.

Accents, vowel points and signs of reading go where writers leave them out; marks that make another letter stay: vowel
signs of Thai, Lao, Khmer and the scripts of India, voicing marks of kana, the breve of й, the hamza of ؤ and ئ.
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

# Cyrillic: accents that tell where the stress is. Others make letters: й, ї, ў, ӣ.
_STRESS = dict.fromkeys(map(ord, "\u0300\u0301\u030f\u0311"))
# Scripts whose letters lose all accents. None is that of digits and signs.
_WITHOUT_ACCENTS = {"Latin", "Greek", "Coptic", "Armenian", "Georgian", None}
# Letters that stand for another one with a hamza above, written or not: alef, and he at the end of a Persian word.
_HAMZA_IS_OPTIONAL = "\u0627\u0647\u06c1"


def without_marks(text: str) -> str:
    r"""A text in NFD and in lower case without the marks that search does without.

    >>> without_marks("e\u0301te\u0301"), without_marks("е\u0308"), len(without_marks("и\u0306"))
    ('ete', 'е', 2)
    """
    return _MARKED.sub(_bare, text)


@lru_cache(maxsize=1)
def combining() -> tuple[int, ...]:
    """The code points of all combining marks but selectors of variants of the last plane, in ascending order."""
    return tuple(code for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")


def ranges(codes: Iterable[int]) -> str:
    """The inside of a character class of code points, which ascend.

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
    # Other marks stand on letters of their own script, and never make another letter.
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
