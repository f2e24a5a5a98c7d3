"""Whether a text is in the language that its row claims: by the script of its letters, and by identification."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import islice

from isoglot.languages.codes import known_code
from isoglot.languages.scripts import script_of
from isoglot.languages.table import language

_LETTERS = 200  # looked at in a text
_LEAST_LETTERS = 5
_LEAST_SHARE = 0.5
_LEAST_BYTES = 40  # below, identification is a guess
# What outweighs a declaration: a text from so many bytes on, with no more letters of the declared language than these.
_LEAST_BYTES_SURE, _LETTERS_SURE, _BESIDE = 200, 2000, 1 / 3
_SURE, _UNLIKELY = 0.9, 0.02

# Scripts in common use beside the usual one of `isoglot.languages.table`.
_ALSO = {
    "az": {"Cyrillic", "Arabic"},
    "bs": {"Cyrillic"},
    "kk": {"Latin", "Arabic"},
    "ko": {"Han"},
    "ku": {"Arabic"},
    "mn": {"Mongolian"},
    "ms": {"Arabic"},
    "pa": {"Arabic"},
    "sd": {"Devanagari"},
    "sr": {"Latin"},
    "ug": {"Latin", "Cyrillic"},
    "uz": {"Cyrillic"},
}
# Too alike to tell apart in a sentence or two.
_ALIKE = ({"da", "nb", "nn", "no"}, {"bs", "hr", "sr"}, {"id", "jv", "ms", "su"}, {"hi", "mr", "ne", "sa"})

Identify = Callable[[str], list[tuple[str, float]]]


def scripts_of(code: str) -> frozenset[str]:
    """Unicode scripts that a language is written in; empty where unknown.

    >>> sorted(scripts_of("ja")), sorted(scripts_of("sr-Latn"))
    (['Han', 'Hiragana', 'Katakana'], ['Latin'])
    """
    base, _, written = (known_code(code) or code).partition("-")
    script = language(code).script
    if script == "unknown":
        return frozenset()
    usual = {"Han", "Hiragana", "Katakana"} if script == "Japanese" else {script}
    return frozenset(usual if written else usual | _ALSO.get(base, set()))


def script_share(text: str, scripts: frozenset[str], letters: int = _LETTERS) -> float | None:
    """Share of the first letters (200) that are of these scripts; None where fewer than 5 letters tell.

    >>> script_share("Москва", frozenset({"Latin"}))
    0.0
    """
    found = list(
        islice((script for char in unicodedata.normalize("NFKC", text) if (script := script_of(char))), letters)
    )
    if len(found) < _LEAST_LETTERS:
        return None
    return sum(script in scripts for script in found) / len(found)


def in_script(text: str, code: str) -> bool:
    """Whether at least half of a text's letters are of the language's scripts (True where nothing can be said)."""
    scripts = scripts_of(code)
    share = script_share(text, scripts) if scripts else None
    return share is None or share >= _LEAST_SHARE


def in_language(text: str, code: str, identify: Identify) -> bool:
    """Whether identification finds nothing against the language; short texts and unknown languages pass."""
    base = (known_code(code) or code).partition("-")[0]
    if len(text.encode()) < _LEAST_BYTES:
        return True
    ranked = identify(text)
    if not ranked:
        return True
    chances = dict(ranked)
    best, sure = ranked[0]
    if base not in chances or are_alike(best, base):
        return True
    return sure < _SURE or chances[base] > _UNLIKELY


def clearly_another(text: str, code: str, identify: Identify) -> str | None:
    """The language that a text is in for certain, where it is another one than its file declares.

    Templates and converters declare English, or the language of whoever runs them, for all that is made with them.
    Text in Latin letters says nothing against a language of other letters: terms and code are written so.

    >>> clearly_another("Η βιβλιοθήκη είναι ανοιχτή κάθε μέρα.", "en", lambda text: [("el", 1.0)])
    'el'
    """
    size = len(text.encode())
    ranked = identify(text) if size >= _LEAST_BYTES else []
    if not ranked:
        return None
    best = ranked[0][0]
    written, declared = scripts_of(best), scripts_of(code)
    if written & declared:
        return None if size < _LEAST_BYTES_SURE or in_language(text, code, identify) else best
    if "Latin" in written or not declared:
        return None
    share = script_share(text, declared, letters=_LETTERS_SURE)
    return best if share is not None and share < _BESIDE else None


def are_alike(one: str, other: str) -> bool:
    """Whether two codes are of one language, or of two that a sentence or two does not tell apart.

    >>> are_alike("zh-Hant", "zh"), are_alike("hr", "sr-Latn"), are_alike("de", "nl")
    (True, True, False)
    """
    bases = {code.partition("-")[0] for code in (one, other)}
    return len(bases) == 1 or any(bases <= alike for alike in _ALIKE)
