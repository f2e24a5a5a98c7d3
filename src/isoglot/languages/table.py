"""Language codes with names, families and scripts (families after Glottolog, scripts as ISO 15924 names)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from isoglot.core.errors import InputError


class Language(NamedTuple):
    """One language; `branch` is the family's well-known subgroup, empty where the family needs none."""

    code: str
    name: str
    family: str
    branch: str
    script: str

    @property
    def right_to_left(self) -> bool:
        """Whether the script runs from right to left."""
        return self.script in {"Arabic", "Hebrew"}


# code|name|family|branch|script
_TABLE = """
af|Afrikaans|Indo-European|Germanic|Latin
am|Amharic|Afro-Asiatic|Semitic|Ethiopic
ar|Arabic|Afro-Asiatic|Semitic|Arabic
as|Assamese|Indo-European|Indo-Aryan|Bengali
az|Azerbaijani|Turkic||Latin
be|Belarusian|Indo-European|Slavic|Cyrillic
bg|Bulgarian|Indo-European|Slavic|Cyrillic
bn|Bengali|Indo-European|Indo-Aryan|Bengali
br|Breton|Indo-European|Celtic|Latin
bs|Bosnian|Indo-European|Slavic|Latin
ca|Catalan|Indo-European|Romance|Latin
cs|Czech|Indo-European|Slavic|Latin
cy|Welsh|Indo-European|Celtic|Latin
da|Danish|Indo-European|Germanic|Latin
de|German|Indo-European|Germanic|Latin
el|Greek|Indo-European|Hellenic|Greek
en|English|Indo-European|Germanic|Latin
eo|Esperanto|Constructed||Latin
es|Spanish|Indo-European|Romance|Latin
et|Estonian|Uralic||Latin
eu|Basque|Basque||Latin
fa|Persian|Indo-European|Iranian|Arabic
fi|Finnish|Uralic||Latin
fr|French|Indo-European|Romance|Latin
fy|Western Frisian|Indo-European|Germanic|Latin
ga|Irish|Indo-European|Celtic|Latin
gd|Scottish Gaelic|Indo-European|Celtic|Latin
gl|Galician|Indo-European|Romance|Latin
gu|Gujarati|Indo-European|Indo-Aryan|Gujarati
ha|Hausa|Afro-Asiatic|Chadic|Latin
he|Hebrew|Afro-Asiatic|Semitic|Hebrew
hi|Hindi|Indo-European|Indo-Aryan|Devanagari
hr|Croatian|Indo-European|Slavic|Latin
hu|Hungarian|Uralic||Latin
hy|Armenian|Indo-European|Armenian|Armenian
id|Indonesian|Austronesian||Latin
is|Icelandic|Indo-European|Germanic|Latin
it|Italian|Indo-European|Romance|Latin
ja|Japanese|Japonic||Japanese
jv|Javanese|Austronesian||Latin
ka|Georgian|Kartvelian||Georgian
kk|Kazakh|Turkic||Cyrillic
km|Khmer|Austroasiatic||Khmer
kn|Kannada|Dravidian||Kannada
ko|Korean|Koreanic||Hangul
ku|Kurdish|Indo-European|Iranian|Latin
ky|Kyrgyz|Turkic||Cyrillic
la|Latin|Indo-European|Romance|Latin
lo|Lao|Kra-Dai||Lao
lt|Lithuanian|Indo-European|Baltic|Latin
lv|Latvian|Indo-European|Baltic|Latin
mg|Malagasy|Austronesian||Latin
mk|Macedonian|Indo-European|Slavic|Cyrillic
ml|Malayalam|Dravidian||Malayalam
mn|Mongolian|Mongolic||Cyrillic
mr|Marathi|Indo-European|Indo-Aryan|Devanagari
ms|Malay|Austronesian||Latin
my|Burmese|Sino-Tibetan||Myanmar
ne|Nepali|Indo-European|Indo-Aryan|Devanagari
nl|Dutch|Indo-European|Germanic|Latin
no|Norwegian|Indo-European|Germanic|Latin
om|Oromo|Afro-Asiatic|Cushitic|Latin
or|Odia|Indo-European|Indo-Aryan|Oriya
pa|Punjabi|Indo-European|Indo-Aryan|Gurmukhi
pl|Polish|Indo-European|Slavic|Latin
ps|Pashto|Indo-European|Iranian|Arabic
pt|Portuguese|Indo-European|Romance|Latin
ro|Romanian|Indo-European|Romance|Latin
ru|Russian|Indo-European|Slavic|Cyrillic
sa|Sanskrit|Indo-European|Indo-Aryan|Devanagari
sd|Sindhi|Indo-European|Indo-Aryan|Arabic
si|Sinhala|Indo-European|Indo-Aryan|Sinhala
sk|Slovak|Indo-European|Slavic|Latin
sl|Slovenian|Indo-European|Slavic|Latin
so|Somali|Afro-Asiatic|Cushitic|Latin
sq|Albanian|Indo-European|Albanian|Latin
sr|Serbian|Indo-European|Slavic|Cyrillic
su|Sundanese|Austronesian||Latin
sv|Swedish|Indo-European|Germanic|Latin
sw|Swahili|Atlantic-Congo|Bantu|Latin
ta|Tamil|Dravidian||Tamil
te|Telugu|Dravidian||Telugu
th|Thai|Kra-Dai||Thai
tl|Tagalog|Austronesian||Latin
tr|Turkish|Turkic||Latin
ug|Uyghur|Turkic||Arabic
uk|Ukrainian|Indo-European|Slavic|Cyrillic
ur|Urdu|Indo-European|Indo-Aryan|Arabic
uz|Uzbek|Turkic||Latin
vi|Vietnamese|Austroasiatic||Latin
xh|Xhosa|Atlantic-Congo|Bantu|Latin
yi|Yiddish|Indo-European|Germanic|Hebrew
yo|Yoruba|Atlantic-Congo|Volta-Congo|Latin
zh|Chinese|Sino-Tibetan||Han
zu|Zulu|Atlantic-Congo|Bantu|Latin
"""


@cache
def known() -> dict[str, Language]:
    """All languages of the table, by code."""
    rows = (Language(*line.split("|")) for line in _TABLE.strip().splitlines())
    return {row.code: row for row in rows}


def language(code: str) -> Language:
    """Describe a code; one that the table lacks is its own family, so that nothing is grouped by guess.

    >>> language("th").family
    'Kra-Dai'
    >>> language("zh-Hant").name
    'Chinese'
    """
    base = code.replace("_", "-").split("-")[0].lower()
    return known().get(base) or Language(code, code, "unknown", "", "unknown")


def parse_codes(text: str | None, available: tuple[str, ...], flag: str = "--langs") -> tuple[str, ...]:
    """Read a comma-separated list of codes and check it against those at hand, keeping the order of `available`.

    Raises:
        InputError: a code that is not at hand, or an empty list.
    """
    if text is None:
        return available
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    missing = [code for code in wanted if code not in available]
    if missing or not wanted:
        seen = f"no {', '.join(missing)} here" if missing else "an empty list"
        raise InputError(f"{flag} {text!r}: {seen}; there are: {', '.join(available)}")
    return tuple(code for code in available if code in wanted)


def by_family(codes: tuple[str, ...]) -> dict[str, list[str]]:
    """Group codes by family, families and codes in alphabetical order."""
    groups: dict[str, list[str]] = {}
    for code in sorted(codes):
        groups.setdefault(language(code).family, []).append(code)
    return dict(sorted(groups.items()))


def by_script(codes: tuple[str, ...]) -> dict[str, list[str]]:
    """Group codes by script, scripts and codes in alphabetical order."""
    groups: dict[str, list[str]] = {}
    for code in sorted(codes):
        groups.setdefault(language(code).script, []).append(code)
    return dict(sorted(groups.items()))


def slices(codes: tuple[str, ...], trained: tuple[str, ...] | None = None) -> dict[str, list[str]]:
    """All sets of languages that figures are given for.

    Args:
        codes: the languages at hand.
        trained: languages that the model was trained on, None where nothing says.

    Returns:
        `all`, each code, `family:NAME` and `script:NAME`, and where `trained` is given `seen` and `unseen`
        (each only where it is not empty).

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
