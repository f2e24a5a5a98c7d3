"""Normalise language codes: BCP 47, as short as possible without changing the script."""

from __future__ import annotations

import re
from functools import lru_cache

from isoglot.core.errors import InputError
from isoglot.languages.known_languages import REGISTERED, known, listed
from isoglot.languages.scripts import CODES, NAMES

UNKNOWN = "und"

TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
# Names of the same language as the value: with both, it would count as two languages in all results.
_SAME = {"fil": "tl", "nb": "no"}
# language[_territory][.codeset][@modifier], as in gettext's folders of translations and in system locales.
_LOCALE = re.compile(
    r"(?P<language>[A-Za-z]{2,3})([_-](?P<territory>[A-Za-z]{2}))?"
    r"(?P<codeset>\.(?i:utf-?8|iso-?8859-?\d+|(cp|windows-?|koi8-?|euc-?|gb|big5|tis-?|sjis|shiftjis)\w*))?"
    r"(@(?P<modifier>\w+))?"
)
_MODIFIERS = {
    "latin": "Latn",
    "latn": "Latn",
    "cyrillic": "Cyrl",
    "cyrl": "Cyrl",
    "devanagari": "Deva",
    "ijekavianlatin": "Latn",  # Serbian as KDE names it
    "iqtelif": "Latn",  # Tatar as glibc names it
}
_NO_SCRIPT = {"Zyyy", "Zzzz", "Zinh"}


def normal_code(text: str) -> str:
    """Return the normal form of a language code: BCP 47, ISO 639-1 letters if they exist, the script if it differs.

    Ignores case, separators, ISO 639-2 and 639-3 spellings, deprecated codes and the standard member of a macrolanguage
    (`cmn`, `arb`, `nb`); scripts and regions are kept only if they change the script. gettext's names of translations
    (`sr@latin`) are accepted too.

    Args:
        text: a code such as `de`, `DE`, `deu`, `de_AT`, `zh-TW`, `srp_Latn`; or a registered one.

    Raises:
        InputError: not a string, malformed, or a language that is neither in the IANA registry nor registered here.

    >>> [normal_code(text) for text in ("DE", "deu", "de_AT", "iw", "zh-CN", "zho_Hans", "cmn", "en-US")]
    ['de', 'de', 'de', 'he', 'zh', 'zh', 'zh', 'en']
    >>> [normal_code(text) for text in ("zh-TW", "zh-Hant-HK", "sr-Latn", "sr-Cyrl-RS", "pa-PK", "arz", "nn")]
    ['zh-Hant', 'zh-Hant', 'sr-Latn', 'sr', 'pa-Arab', 'arz', 'nn']
    >>> [normal_code(text) for text in ("sr_RS@latin", "uz@cyrillic", "de_DE@euro", "de_DE.UTF-8")]
    ['sr-Latn', 'uz-Cyrl', 'de', 'de']
    """
    if not isinstance(text, str):
        raise InputError(f"language code {text!r}: given as {type(text).__name__}; expected a text such as 'de'")
    return _normal_code(text)


def forget_codes() -> None:
    """Clear the cache of codes: after a language is registered, a code may have another normal form."""
    _normal_code.cache_clear()


@lru_cache(maxsize=8192)
def _normal_code(text: str) -> str:
    import langcodes

    given = _of_locale(text.strip()).replace("_", "-")
    own = {code.lower(): code for code in REGISTERED}.get(given.lower())
    if own is not None:
        return own
    if not TAG.fullmatch(given):
        raise _refusal(text)
    base = given.partition("-")[0].lower()
    if base == UNKNOWN:
        return UNKNOWN
    try:
        tag = langcodes.standardize_tag(given, macro=True)
        parts = langcodes.Language.get(tag, normalize=False)
    except ValueError as error:
        if base in REGISTERED:
            return base
        raise _refusal(text) from error
    if parts.language is None or not (langcodes.tag_is_valid(tag) or parts.language in known()):
        raise _refusal(text)
    base = parts.extlangs[0] if parts.extlangs else parts.language  # ar-arz is arz
    base = _SAME.get(base, base)
    script = parts.script or _script_in(base, parts.territory)
    return base if script is None or script in _NO_SCRIPT or _is_usual(script, base) else f"{base}-{script}"


def _of_locale(text: str) -> str:
    """Return the code for a locale's name, with a modifier that denotes a script turned into one."""
    found = _LOCALE.fullmatch(text)
    if found is None or not (found["codeset"] or found["modifier"]):
        return text
    language, territory, modifier = found.group("language", "territory", "modifier")
    script = _MODIFIERS.get((modifier or "").lower())
    return "-".join(part for part in (language, script, territory) if part)


def known_code(text: str) -> str | None:
    """Return the normal form of a code; None if it is not valid.

    >>> known_code("DE"), known_code("German!")
    ('de', None)
    """
    try:
        return normal_code(text)
    except InputError:
        return None


def macrolanguage(code: str) -> str | None:
    """Return the macrolanguage to which a language belongs, according to ISO 639-3.

    >>> macrolanguage("arz"), macrolanguage("yue"), macrolanguage("de")
    ('ar', 'zh', None)
    """
    from langcodes.data_dicts import MACROLANGUAGES

    found = MACROLANGUAGES.get(code.partition("-")[0])
    return None if found is None else str(found)


def usual_script(base: str) -> str | None:
    """Return the ISO 15924 code of the script in which a language is written if its code does not state one."""
    if base == UNKNOWN:
        return None
    entry = known().get(base)
    likely = _likely(base)
    if entry is None:
        above = macrolanguage(base)
        return likely or (usual_script(above) if above else None)
    # For varieties of Chinese: the likelier of simplified and traditional.
    return likely if likely and NAMES.get(likely) == entry.script else CODES.get(entry.script)


def _is_usual(script: str, base: str) -> bool:
    """Return whether a script is a language's usual one, under this code or another (`Hang` and `Kore`)."""
    usual = usual_script(base)
    same = script in NAMES and NAMES[script] == NAMES.get(usual or "") and script not in ("Hans", "Hant")
    return script == usual or same


def _script_in(base: str, territory: str | None) -> str | None:
    return _likely(f"{base}-{territory}") if territory else None


def _likely(tag: str) -> str | None:
    """Return the script that Unicode's likely subtags add to a tag."""
    from langcodes.data_dicts import LIKELY_SUBTAGS

    full = LIKELY_SUBTAGS.get(tag)
    return full.split("-")[1] if full else None


def _refusal(text: str) -> InputError:
    return InputError(f"{text!r} is not a language code such as 'de' or 'zh-Hant'{_meant(text.strip())}")


def _meant(text: str) -> str:
    """Return a suggestion: the language of a country's code, or of an English name."""
    named = {entry.name.lower(): code for code, entry in listed().items()}.get(text.lower())
    if named is None and re.fullmatch("[A-Za-z]{2}", text):
        from langcodes.data_dicts import LIKELY_SUBTAGS

        named = LIKELY_SUBTAGS.get(f"und-{text.upper()}", "").split("-")[0] or None
    return f" (did you mean {named!r}?)" if named else ""
