"""Language codes from names of folders and files, such as `zh_CN`, `pt-br`, `zh-Hant`, `german` or `cn`."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from isoglot.languages.codes import known_code
from isoglot.languages.known_languages import listed

_CODE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?(@[A-Za-z]+)?")
# Country codes that stand for the country's language (`kr` for Korean, although it is the code of Kanuri).
_COUNTRIES = {
    "cn": "zh",
    "jp": "ja",
    "kr": "ko",
    "ua": "uk",
    "cz": "cs",
    "dk": "da",
    "gr": "el",
    "vn": "vi",
    "ir": "fa",
}

# Language codes that mean something else in names of folders of code and texts.
_ABBREVIATIONS = {"cv", "io", "src", "ts"}
_OTHER_NAMES = {
    **{"deutsch": "de", "francais": "fr", "français": "fr", "espanol": "es", "español": "es", "italiano": "it"},
    **{"português": "pt", "portugues": "pt", "nederlands": "nl", "polski": "pl", "türkçe": "tr", "turkce": "tr"},
    **{"русский": "ru", "українська": "uk", "日本語": "ja", "한국어": "ko", "العربية": "ar", "فارسی": "fa"},
    **{"हिन्दी": "hi", "ไทย": "th", "עברית": "he", "中文": "zh", "简体中文": "zh", "chs": "zh", "繁體中文": "zh-Hant"},
    **{"繁体中文": "zh-Hant", "cht": "zh-Hant", "tw": "zh-Hant", "hk": "zh-Hant", "tiếng-việt": "vi"},
    **{"simplified-chinese": "zh", "chinese-simplified": "zh", "traditional-chinese": "zh-Hant"},
    **{"chinese-traditional": "zh-Hant", "brazilian-portuguese": "pt"},
}


@cache
def folder_code(name: str) -> str | None:
    """Return the language that the name of a folder or file stands for, or None.

    >>> folder_code("zh_TW"), folder_code("German"), folder_code("sr@latin"), folder_code("images")
    ('zh-Hant', 'de', 'sr-Latn', None)
    """
    lowered = unicodedata.normalize("NFC", name).lower().replace("_", "-").replace(" ", "-")
    by_name = _names().get(lowered)
    if by_name is not None:
        return by_name
    if not _CODE.fullmatch(name):
        return None
    base = re.split("[-_@]", lowered)[0]
    if base in _ABBREVIATIONS:
        return None
    code = known_code(_COUNTRIES.get(base, base) + name[len(base) :])
    # Languages without a two-letter code are excluded, as words such as `new` and `min` are their codes.
    return code if code and len(code.partition("-")[0]) == 2 else None


@cache
def _names() -> dict[str, str]:
    return {entry.name.lower(): code for code, entry in listed().items() if len(code) == 2} | _OTHER_NAMES
