"""Checks of a translation that need no knowledge of the two languages."""

from __future__ import annotations

from isoglot.data.near_duplicates import NEAR, grams, jaccard, normalise
from isoglot.languages.checking import in_language, script_share, scripts_of
from isoglot.languages.detection import identifier_if_there
from isoglot.languages.scripts import script_of

_RATIO = 3.0
_RATED = 30  # least `weight` for comparing lengths: shorter texts may differ more
_NAME_WORDS = 4
_SHORT_BYTES = 40
_LEAST_SHARE = 0.1  # of letters that must be in the target's script: names may stay as they are
_LEAST_DISTINCT = 0.3  # distinct 4-grams per letter: fewer mean a loop
_HEAVY = {"Han": 3.0, "Hiragana": 2.0, "Katakana": 2.0, "Hangul": 2.0}


def translation_fault(source: str, translation: str, target_lang: str) -> str | None:
    """Return what is wrong with a translation, or None.

    Names may stay untranslated: a short text that reads like a name may be the same in both languages.
    """
    if not any(map(str.isalpha, translation)):
        return "no words"
    if normalise(source) == normalise(translation) or (
        len(source.encode()) >= _SHORT_BYTES and jaccard(source, translation) >= NEAR
    ):
        return None if _names_only(source) else "the source, copied"
    if _loops(translation) and not _loops(source):
        return "repeats itself"
    ours, theirs = weight(source), weight(translation)
    if max(ours, theirs) >= _RATED and not 1 / _RATIO <= theirs / max(ours, 1e-9) <= _RATIO:
        return f"{theirs / max(ours, 1e-9):.1f} times as long as the source"
    scripts = scripts_of(target_lang)
    share = script_share(translation, scripts) if scripts else None
    if share is not None and share < _LEAST_SHARE and not _names_only(translation):
        return f"not in the script of {target_lang}"
    identify = identifier_if_there()
    if identify is not None and not in_language(translation, target_lang, identify):
        return f"not in {target_lang}"
    return None


def weight(text: str) -> float:
    """Return the length of a text in letters, weighted by content: a Han character counts as three Latin letters.

    >>> weight("北京"), weight("Peking")
    (6.0, 6.0)
    """
    return sum(_HEAVY.get(script_of(char) or "", 1.0) for char in text if char.isalnum())


def _names_only(text: str) -> bool:
    """Whether a short text reads like names: every word has a capital letter or begins with a digit or symbol."""
    words = text.split()
    return len(words) <= _NAME_WORDS and all(not word[:1].isalpha() or word != word.lower() for word in words)


def _loops(text: str) -> bool:
    bare = "".join(char for char in normalise(text) if char.isalnum())
    return len(bare) >= 60 and len(grams(text)) < _LEAST_DISTINCT * len(bare)
