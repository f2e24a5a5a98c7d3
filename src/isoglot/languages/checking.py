"""Check that a text is in its declared language: by the script of its letters, and by language identification."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import islice

from isoglot.languages.codes import known_code
from isoglot.languages.scripts import script_of
from isoglot.languages.table import language

_LETTERS = 200  # letters checked per text
_LEAST_LETTERS = 5
_LEAST_SHARE = 0.5
_LEAST_BYTES = 40  # shorter texts cannot be identified reliably
# To overrule a declaration: minimum bytes, letters checked, maximum share of letters in the declared language's script.
_LEAST_BYTES_SURE, _LETTERS_SURE, _BESIDE = 200, 2000, 1 / 3
_SURE, _UNLIKELY = 0.9, 0.02

# Scripts in common use besides the usual one in `isoglot.languages.table`.
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
# Too similar to tell apart in a sentence or two.
_ALIKE = ({"da", "nb", "nn", "no"}, {"bs", "hr", "sr"}, {"id", "jv", "ms", "su"}, {"hi", "mr", "ne", "sa"})

Identify = Callable[[str], list[tuple[str, float]]]


def scripts_of(code: str) -> frozenset[str]:
    """Return the Unicode scripts in which a language is written; empty if unknown.

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
    """Return the share of a text's first letters (200) in these scripts; None if it has fewer than 5 letters.

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
    """Return whether at least half of a text's letters are in the language's scripts (True if that cannot be told)."""
    scripts = scripts_of(code)
    share = script_share(text, scripts) if scripts else None
    return share is None or share >= _LEAST_SHARE


def in_language(text: str, code: str, identify: Identify) -> bool:
    """Return False if identification contradicts the language; short texts and unknown languages pass."""
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
    """Return the language that a text is certainly in, if that contradicts the one its file declares; else None.

    Templates and converters declare English, or the language of the person who runs them, for everything they produce.
    Latin letters do not contradict a language with another script, since terms and code are written in them.

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
    """Return whether two codes denote the same language, or two that cannot be told apart in a sentence or two.

    >>> are_alike("zh-Hant", "zh"), are_alike("hr", "sr-Latn"), are_alike("de", "nl")
    (True, True, False)
    """
    bases = {code.partition("-")[0] for code in (one, other)}
    return len(bases) == 1 or any(bases <= alike for alike in _ALIKE)
