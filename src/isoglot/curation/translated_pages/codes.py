"""Names of folders and files as language codes: `zh_CN`, `pt-br`, `zh-Hant`, `german`, `cn`."""

from __future__ import annotations

import re
from functools import cache

from isoglot.languages.iso_codes import _ISO_639_3 as ISO_639_3
from isoglot.languages.table import known

_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?")
# Codes of countries that stand for their language where no language has that code.
_COUNTRIES = {"cn": "zh", "jp": "ja", "kr": "ko", "ua": "uk", "cz": "cs", "dk": "da", "gr": "el", "vn": "vi"}


_TRADITIONAL = {"tw", "hk", "mo", "hant"}
_OTHER_NAMES = {"deutsch": "de", "francais": "fr", "français": "fr", "espanol": "es", "español": "es"}


@cache
def folder_code(name: str) -> str | None:
    """The language that a folder's or file's name stands for; None where it is no language.

    >>> folder_code("zh_TW"), folder_code("pt-br"), folder_code("German"), folder_code("images")
    ('zh-Hant', 'pt', 'de', None)
    """
    lowered = name.lower()
    by_name = _names().get(lowered)
    if by_name is not None:
        return by_name
    if not _CODE.fullmatch(name):
        return None
    base, *rest = re.split("[-_]", lowered)
    base = _COUNTRIES.get(base, base)
    base = _three_letters().get(base, base)
    if base not in known():
        return None
    if base == "zh" and _TRADITIONAL & set(rest):
        return "zh-Hant"
    return f"{base}-{rest[0].title()}" if base != "zh" and rest and len(rest[0]) == 4 else base


@cache
def _names() -> dict[str, str]:
    return {entry.name.lower(): code for code, entry in known().items()} | _OTHER_NAMES


@cache
def _three_letters() -> dict[str, str]:
    return {three: code for code, three in ISO_639_3.items()} | {"cmn": "zh", "nob": "no", "nb": "no", "nn": "no"}
