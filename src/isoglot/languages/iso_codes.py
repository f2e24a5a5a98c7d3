"""ISO 639-3 and ISO 15924 codes, as other tools spell languages and scripts."""

from __future__ import annotations

# ISO 639-1 to 639-3; codes that already have three letters stand for themselves.
_TABLE = """
af:afr am:amh ar:ara as:asm az:aze be:bel bg:bul bn:ben br:bre bs:bos ca:cat cs:ces cy:cym da:dan de:deu el:ell
en:eng eo:epo es:spa et:est eu:eus fa:fas fi:fin fr:fra fy:fry ga:gle gd:gla gl:glg gu:guj ha:hau he:heb hi:hin
hr:hrv hu:hun hy:hye id:ind is:isl it:ita ja:jpn jv:jav ka:kat kk:kaz km:khm kn:kan ko:kor ku:kur ky:kir la:lat
lo:lao lt:lit lv:lav mg:mlg mk:mkd ml:mal mn:mon mr:mar ms:msa my:mya ne:nep nl:nld no:nor om:orm or:ori pa:pan
pl:pol ps:pus pt:por ro:ron ru:rus sa:san sd:snd si:sin sk:slk sl:slv so:som sq:sqi sr:srp su:sun sv:swe sw:swa
ta:tam te:tel th:tha tl:tgl tr:tur ug:uig uk:ukr ur:urd uz:uzb vi:vie xh:xho yi:yid yo:yor zh:zho zu:zul
"""


_ISO_639_3 = dict(pair.split(":") for pair in _TABLE.split())


_ISO_15924 = {
    "Arabic": "Arab",
    "Armenian": "Armn",
    "Bengali": "Beng",
    "Cyrillic": "Cyrl",
    "Devanagari": "Deva",
    "Ethiopic": "Ethi",
    "Georgian": "Geor",
    "Greek": "Grek",
    "Gujarati": "Gujr",
    "Gurmukhi": "Guru",
    "Han": "Hans",
    "Hangul": "Hang",
    "Hebrew": "Hebr",
    "Japanese": "Jpan",
    "Kannada": "Knda",
    "Khmer": "Khmr",
    "Lao": "Laoo",
    "Latin": "Latn",
    "Malayalam": "Mlym",
    "Myanmar": "Mymr",
    "Oriya": "Orya",
    "Sinhala": "Sinh",
    "Tamil": "Taml",
    "Telugu": "Telu",
    "Thai": "Thai",
}
