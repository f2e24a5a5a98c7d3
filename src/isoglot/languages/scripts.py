"""Scripts: their Unicode names, their ISO 15924 codes, and which of them run from right to left."""

from __future__ import annotations

import unicodedata
from functools import cache

_TABLE = """
Adlm:Adlam Arab:Arabic Aran:Arabic Armn:Armenian Bali:Balinese Batk:Batak Beng:Bengali Bopo:Bopomofo Bugi:Buginese
Cakm:Chakma Cans:Canadian_Aboriginal Cham:Cham Cher:Cherokee Copt:Coptic Cyrl:Cyrillic Deva:Devanagari Ethi:Ethiopic
Geor:Georgian Goth:Gothic Grek:Greek Gujr:Gujarati Guru:Gurmukhi Hang:Hangul Hani:Han Hans:Han Hant:Han Hebr:Hebrew
Hira:Hiragana Hmng:Pahawh_Hmong Java:Javanese Jpan:Japanese Kali:Kayah_Li Kana:Katakana Khmr:Khmer Knda:Kannada
Kore:Hangul Lana:Tai_Tham Laoo:Lao Latn:Latin Lepc:Lepcha Limb:Limbu Lisu:Lisu Mand:Mandaic Mlym:Malayalam
Mong:Mongolian Mtei:Meetei_Mayek Mymr:Myanmar Nkoo:Nko Olck:Ol_Chiki Orya:Oriya Rohg:Hanifi_Rohingya Samr:Samaritan
Saur:Saurashtra Sinh:Sinhala Sund:Sundanese Sylo:Syloti_Nagri Syrc:Syriac Tale:Tai_Le Talu:New_Tai_Lue Taml:Tamil
Tavt:Tai_Viet Telu:Telugu Tfng:Tifinagh Tglg:Tagalog Thaa:Thaana Thai:Thai Tibt:Tibetan Vaii:Vai Yiii:Yi
"""

NAMES = {code: name.replace("_", " ") for code, name in (pair.split(":") for pair in _TABLE.split())}
"""Unicode names by ISO 15924 code; several codes may share one (`Hans` and `Hant` are both `Han`)."""

CODES = {name: code for code, name in reversed(NAMES.items())} | {"Han": "Hans", "Hangul": "Kore"}
"""ISO 15924 codes by Unicode name: the code that language tags use."""

RIGHT_TO_LEFT = frozenset(
    ("Adlam", "Arabic", "Hanifi Rohingya", "Hebrew", "Mandaic", "Nko", "Samaritan", "Syriac", "Thaana")
)


def script_name(given: str) -> str:
    """Return a script's Unicode name; if the table lacks it, the given name.

    >>> script_name("Cyrl"), script_name("Cyrillic")
    ('Cyrillic', 'Cyrillic')
    """
    return NAMES.get(given.title(), given)


@cache
def script_of(char: str) -> str | None:
    """Return the script of a letter, from its Unicode name; None for other characters or letters without a script.

    >>> script_of("д"), script_of("漢"), script_of("ー"), script_of("3")
    ('Cyrillic', 'Han', 'Katakana', None)
    """
    if not char.isalpha():
        return None
    name = unicodedata.name(char, "")
    first = name.partition(" ")[0]
    if first in {"MODIFIER", "FEMININE", "MASCULINE", "MICRO", ""}:
        return None
    if first == "CJK":
        return "Han"
    if name.startswith("KATAKANA-HIRAGANA"):
        return "Katakana"
    return next((script for script in _OF_SEVERAL_WORDS if name.startswith(script.upper())), first.title())


_OF_SEVERAL_WORDS = sorted((name for name in NAMES.values() if " " in name), key=len, reverse=True)
