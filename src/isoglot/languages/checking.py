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


def script_share(text: str, scripts: frozenset[str]) -> float | None:
    """Share of the first 200 letters that are of these scripts; None where fewer than 5 letters tell.

    >>> script_share("Москва", frozenset({"Latin"}))
    0.0
    """
    letters = list(
        islice((script for char in unicodedata.normalize("NFKC", text) if (script := script_of(char))), _LETTERS)
    )
    if len(letters) < _LEAST_LETTERS:
        return None
    return sum(script in scripts for script in letters) / len(letters)


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
    if best == base or base not in chances or any({best, base} <= alike for alike in _ALIKE):
        return True
    return sure < _SURE or chances[base] > _UNLIKELY
