"""Detect the language of a text: first its script, then py3langid among the languages written in that script."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from isoglot.core.errors import MissingPackageError, needs
from isoglot.languages.checking import Identify, scripts_of
from isoglot.languages.codes import UNKNOWN, known_code
from isoglot.languages.known_languages import known
from isoglot.languages.scripts import script_of

THRESHOLD = 0.5
_LOOKED_AT = 2000  # characters analysed
_KANA = ("Hiragana", "Katakana")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9_.'-]*")
# Latin words occur in texts of all languages: names, code, terms.
_LEAST_OTHER = 0.2
_LEAST_KANA = 0.08
# A character of these scripts counts as much as two letters.
_DENSE = {"Han", "Hangul", *_KANA}
# Varieties with similar classes, between which a text's probability would be split.
_TOGETHER = {"ary": "ar", "arz": "ar", "nn": "no", "wuu": "zh", "yue": "zh"}
# Scripts of several known languages, of which py3langid knows none, or only the rarer.
_FIRST_OF = {"Myanmar": "my", "Tibetan": "bo"}
# Prior weights of languages with much or little text, small enough not to outweigh the evidence of a sentence.
_MUCH, _LITTLE = 3.0, 0.1
_WRITTEN_MUCH = "ar bn cs de el en es fa fr hi hu id it ja ko nl pl pt ro ru sv th tr uk ur vi zh"
_WRITTEN_LITTLE = """
ace an ary arz bcl br crh dz ext fo fuv fy gcf gcr gom grc gug guw hbo jv kab kik la lb lg lij ln ltg nso oc om pcm qu
sa sdh se sn st uzs vec vo wa wuu yue
"""
_WEIGHTS = dict.fromkeys(_WRITTEN_MUCH.split(), _MUCH) | dict.fromkeys(_WRITTEN_LITTLE.split(), _LITTLE)


def detect(text: str, among: Iterable[str] = (), *, threshold: float = THRESHOLD) -> str:
    """Guess the language of a text.

    Args:
        text: its first 2,000 characters are analysed.
        among: restrict to these codes, in any spelling; if empty, to all that can be told apart.
        threshold: minimum probability; below it, the result is `und`.

    Raises:
        MissingPackageError: py3langid is not installed.

    >>> detect("图书馆每周一闭馆。"), detect("Oslo er hovedstaden i Norge."), detect("2024")
    ('zh', 'no', 'und')
    """
    ranked = rank(text, among)
    return ranked[0][0] if ranked and ranked[0][1] >= threshold else UNKNOWN


def rank(text: str, among: Iterable[str] = ()) -> list[tuple[str, float]]:
    """Return the possible languages of a text with their probabilities, likeliest first.

    Only languages written in the text's script; varieties of a macrolanguage (zh, wuu, yue; ar, ary, arz; no, nn) count
    as one.

    Args:
        text: its first 2,000 characters are analysed.
        among: as in `detect`.

    Returns:
        Empty if the text has no letters, or if no language of its script is known.

    Raises:
        MissingPackageError: py3langid is not installed.
    """
    part = unicodedata.normalize("NFKC", text[:_LOOKED_AT])
    script = _script(part)
    if script is None:
        return []
    wanted = {known_code(code) or code for code in among}
    # A language requested in one script only (zh-Hant, sr-Latn) is matched by its code without the script.
    names = {code.partition("-")[0]: code for code in sorted(wanted)} | {code: code for code in wanted}
    sure = _by_script(script, part)
    if sure is not None and (not wanted or sure in names):
        return [(names.get(sure, sure), 1.0)]
    chances: dict[str, float] = {}
    for label, probability in _model().rank(part if script == "Latin" else _LATIN.sub(" ", part)):
        code = _TOGETHER.get(label, label)
        code = label if code in _TOGETHER.values() and wanted and code not in names else code
        normal, scripts = _class(code)
        if (wanted and normal not in names) or (not wanted and script not in scripts):
            continue
        normal = names.get(normal, normal)
        chances[normal] = chances.get(normal, 0.0) + float(probability) * _WEIGHTS.get(label, 1.0)
    total = sum(chances.values())
    ranked = sorted(chances.items(), key=lambda entry: -entry[1])
    return [(code, chance / total) for code, chance in ranked] if total > 0 else []


def identifier() -> Identify:
    """Return `rank`, after checking that it can run.

    Raises:
        MissingPackageError: py3langid is not installed.
    """
    _model()
    return rank


def identifier_if_there() -> Identify | None:
    """Return `identifier()`, or None if py3langid is not installed: then no language can be contradicted."""
    try:
        return identifier()
    except MissingPackageError:
        return None


def _script(text: str) -> str | None:
    """Return the script that determines the language: one other than Latin if it makes up a fifth of the text."""
    counts: Counter[str] = Counter()
    script = None
    for char in text:
        if unicodedata.category(char).startswith("M"):
            own = script  # a vowel sign counts as the letter before it
        else:
            own = script = script_of(char)
        if own is not None:
            counts[own] += 2 if own in _DENSE else 1
    latin = counts.pop("Latin", 0)
    others = counts.total()
    if not latin and not others:
        return None
    if others < _LEAST_OTHER * (latin + others):
        return "Latin"
    east = counts["Han"] + sum(counts[script] for script in _KANA)
    kana = east - counts["Han"]
    if east and kana >= _LEAST_KANA * east and east >= others / 2:
        return "Hiragana"
    return max(counts, key=counts.__getitem__)


def _by_script(script: str, text: str) -> str | None:
    """Return the language, if the script alone determines it."""
    if script == "Hiragana":
        return "ja"
    if script == "Han":
        return "ja" if any(map(_japanese, text)) else "zh"
    if script in _FIRST_OF:
        return _FIRST_OF[script]
    own = [code for code, entry in known().items() if entry.script == script]
    return own[0] if len(own) == 1 else None


def _japanese(char: str) -> bool:
    """Return whether a character is in Japan's set of Han characters, but in neither China's nor Taiwan's."""
    return ord(char) > 0x2E7F and _encodes(char, "shift_jis") and not any(_encodes(char, c) for c in ("gb2312", "big5"))


def _encodes(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@cache
def _class(label: str) -> tuple[str, frozenset[str]]:
    """Return the code and scripts of one of py3langid's classes."""
    code = known_code(label) or label
    return code, scripts_of(code)


@cache
def _model() -> Any:
    with needs("language detection needs py3langid", "search", "data"):
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
