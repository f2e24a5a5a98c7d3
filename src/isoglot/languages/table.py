"""Describe language codes: name, family, script, direction; and group them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.languages.codes import TAG, forget_codes, known_code, macrolanguage, usual_script
from isoglot.languages.known_languages import REGISTERED, Language, known, listed
from isoglot.languages.scripts import NAMES, RIGHT_TO_LEFT, script_name

_WRITTEN = {"Hans": "Simplified", "Hant": "Traditional"}


def language(code: str) -> Language:
    """Return the description of a code, in any spelling.

    A language that the table lacks gets family and script from its macrolanguage, or else the script from Unicode's
    likely subtags; an unknown one is its own family, so that languages are never grouped by a guess.

    Args:
        code: BCP 47, ISO 639 in two or three letters, or a registered one.

    Raises:
        InputError: not a string.

    Example:
        >>> from isoglot import language
        >>> language("th").family
        'Kra-Dai'
        >>> language("zh-TW").name, language("arz").right_to_left, language("sr-Latn").script
        ('Chinese (Traditional)', True, 'Latin')
    """
    check_kind("language", code, str, "a code such as 'de' or 'zh-Hant'")
    return _described(code)


@cache
def _described(code: str) -> Language:
    normal = known_code(code) or code
    base, _, written = normal.partition("-")
    entry = REGISTERED.get(normal) or listed().get(normal)
    if entry is not None:
        return entry
    own = known().get(base)
    if own is None:
        above = macrolanguage(base)
        family = language(above).family if above else base
        script = script_name(usual_script(base) or "unknown")
        own = Language(base, base, family, script, script in RIGHT_TO_LEFT)
    if not written:
        return own
    script = NAMES.get(written, written)
    name = f"{own.name} ({_WRITTEN.get(written, script)})" if own.name != base else normal
    return Language(normal, name, own.family, script, script in RIGHT_TO_LEFT)


def register_language(
    code: str,
    *,
    name: str,
    family: str | None = None,
    script: str | None = None,
    right_to_left: bool | None = None,
) -> Language:
    """Add a language, or change the description of a known one, for all readers, flags and reports.

    It is valid in this process. If no other known language uses its script, texts in that script are detected as this
    language.

    Args:
        code: BCP 47, or your own code in that form (2 to 8 letters, then parts of up to 8 letters and digits).
        name: in English.
        family: by which reports group it; by default as before (see `language`), for an unknown code the code itself.
        script: name or ISO 15924 code; by default from Unicode's data, or `unknown`.
        right_to_left: direction; the script's by default.

    Raises:
        InputError: a malformed code, or an empty name.

    Example:
        >>> from isoglot import register_language
        >>> register_language("qya", name="Quenya", script="Latn")
        Language(code='qya', name='Quenya', family='qya', script='Latin', right_to_left=False)
    """
    check_kind("language", code, str, "a code such as 'qya'")
    for argument, value in (("name", name), ("family", family), ("script", script)):
        check_kind(argument, "" if value is None and argument != "name" else value, str, "a text")
    if not name.strip():
        raise InputError(f"language {code!r}: the name is empty")
    normal = known_code(code) or _own_code(code)
    before = language(normal)
    written = script_name(script) if script else before.script
    entry = Language(
        normal,
        name.strip(),
        family or before.family,
        written,
        written in RIGHT_TO_LEFT if right_to_left is None else right_to_left,
    )
    REGISTERED[normal] = entry
    _forget_answers()
    return entry


@contextmanager
def temporary_languages() -> Iterator[None]:
    """On leaving the block, forget the languages registered in it; useful in tests."""
    before = dict(REGISTERED)
    try:
        yield
    finally:
        if before != REGISTERED:
            REGISTERED.clear()
            REGISTERED.update(before)
            _forget_answers()


def _forget_answers() -> None:
    forget_codes()
    _described.cache_clear()


def parse_codes(langs: str | Iterable[str] | None, available: tuple[str, ...], what: str = "langs") -> tuple[str, ...]:
    """Parse an argument with language codes in any spelling, and check them against the available ones.

    Args:
        langs: several codes, or one comma-separated string; None for all.
        available: known codes; the result has their spelling and order.
        what: name of the argument, for the error.

    Raises:
        InputError: another type, an unavailable code, or no code at all.

    >>> parse_codes("zh_CN,DE", ("de", "en", "zh")), parse_codes(["zh_CN", "DE"], ("de", "en", "zh"))
    (('de', 'zh'), ('de', 'zh'))
    """
    if langs is None:
        return available
    wanted = _as_given(langs, what)
    ours = {known_code(code) or code for code in available}
    missing = [code for code in wanted if (known_code(code) or code) not in ours]
    if missing or not wanted:
        text = langs if isinstance(langs, str) else ",".join(wanted)
        seen = f"no {', '.join(missing)} here" if missing else "an empty list"
        raise InputError(f"{what} {text!r}: {seen}; there are: {', '.join(available)}")
    chosen = {known_code(code) or code for code in wanted}
    return tuple(code for code in available if (known_code(code) or code) in chosen)


def given_codes(langs: str | Iterable[str] | None, what: str = "langs") -> tuple[str, ...] | None:
    """Parse an argument with language codes: deduplicated, normalised (unless invalid); None for all.

    Args:
        langs: several codes, or one comma-separated string.
        what: name of the argument, for the error.

    Raises:
        InputError: another type.

    >>> given_codes("zh_CN, DE"), given_codes(["de", "DE"])
    (('zh', 'de'), ('de',))
    """
    if langs is None:
        return None
    return tuple(dict.fromkeys(known_code(code) or code for code in _as_given(langs, what)))


def _as_given(langs: str | Iterable[str], what: str) -> list[str]:
    """Return an argument's codes as spelt, stripped, without empty ones."""
    expected = "codes such as ['de', 'en'], or one text, 'de,en'"
    parts = langs.split(",") if isinstance(langs, str) else langs
    check_kind(what, parts, Iterable, expected)
    found = []
    for code in parts:
        if not isinstance(code, str):
            raise InputError(f"{what}: holds {code!r}; expected {expected}")
        if code.strip():
            found.append(code.strip())
    return found


def by_family(codes: tuple[str, ...]) -> dict[str, list[str]]:
    """Group codes by family; families and codes are sorted."""
    groups: dict[str, list[str]] = {}
    for code in sorted(codes):
        groups.setdefault(language(code).family, []).append(code)
    return dict(sorted(groups.items()))


def by_script(codes: tuple[str, ...]) -> dict[str, list[str]]:
    """Group codes by script; scripts and codes are sorted."""
    groups: dict[str, list[str]] = {}
    for code in sorted(codes):
        groups.setdefault(language(code).script, []).append(code)
    return dict(sorted(groups.items()))


def slices(codes: tuple[str, ...], trained: tuple[str, ...] | None = None) -> dict[str, list[str]]:
    """Return all groups of languages for which results are reported.

    Args:
        codes: the available languages.
        trained: languages that the model was trained on; None if unknown.

    Returns:
        `all`, each code, `family:NAME` and `script:NAME`, and, if `trained` is given, `seen` and `unseen`; without
        empty groups.

    >>> sorted(slices(("de", "el"), ("de",)))[:6]
    ['all', 'de', 'el', 'family:Indo-European', 'script:Greek', 'script:Latin']
    """
    found: dict[str, list[str]] = {"all": list(codes), **{code: [code] for code in codes}}
    found |= {f"family:{name}": own for name, own in by_family(codes).items()}
    found |= {f"script:{name}": own for name, own in by_script(codes).items()}
    if trained is not None:
        found["seen"] = [code for code in codes if code in trained]
        found["unseen"] = [code for code in codes if code not in trained]
    return {name: own for name, own in found.items() if own}


def _own_code(code: str) -> str:
    """Check the form of a user-defined code and return it in lower case."""
    if not TAG.fullmatch(code):
        raise InputError(
            f"{code!r} does not have the form of a language code: 2 to 8 letters, then parts joined by '-'"
        )
    return code.lower()
