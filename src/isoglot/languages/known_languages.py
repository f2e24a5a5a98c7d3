"""Languages known by name and family (according to Glottolog), and those registered by a program."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from isoglot.languages.scripts import RIGHT_TO_LEFT


class Language(NamedTuple):
    """A language as written under one code.

    Attributes:
        code: normal form (see `isoglot.languages.normal_code`).
        name: in English.
        family: the top-level family in Glottolog; the code itself if unknown.
        script: Unicode's name for it (`Latin`, `Han`); `unknown` if it cannot be told.
        right_to_left: the direction of the script.

    Example:
        >>> from isoglot import Language, language
        >>> language("he")
        Language(code='he', name='Hebrew', family='Afro-Asiatic', script='Hebrew', right_to_left=True)
        >>> isinstance(language("he"), Language)
        True
    """

    code: str
    name: str
    family: str
    script: str
    right_to_left: bool = False


REGISTERED: dict[str, Language] = {}
"""Languages added by `register_language`, by code; they take precedence over the table."""


@cache
def listed() -> dict[str, Language]:
    """Return all languages of the table, by code."""
    rows = (line.split("|") for line in _TABLE.strip().splitlines())
    return {code: Language(code, name, family, script, script in RIGHT_TO_LEFT) for code, name, family, script in rows}


def known() -> dict[str, Language]:
    """Return all languages of the table and all registered ones, by code."""
    return listed() | REGISTERED


# code|name|family|script
_TABLE = """
aa|Afar|Afro-Asiatic|Latin
ab|Abkhazian|Abkhaz-Adyge|Cyrillic
ace|Acehnese|Austronesian|Latin
acm|Mesopotamian Arabic|Afro-Asiatic|Arabic
ady|Adyghe|Abkhaz-Adyge|Cyrillic
aeb|Tunisian Arabic|Afro-Asiatic|Arabic
af|Afrikaans|Indo-European|Latin
afb|Gulf Arabic|Afro-Asiatic|Arabic
ak|Akan|Atlantic-Congo|Latin
am|Amharic|Afro-Asiatic|Ethiopic
an|Aragonese|Indo-European|Latin
apc|Levantine Arabic|Afro-Asiatic|Arabic
ar|Arabic|Afro-Asiatic|Arabic
ars|Najdi Arabic|Afro-Asiatic|Arabic
ary|Moroccan Arabic|Afro-Asiatic|Arabic
arz|Egyptian Arabic|Afro-Asiatic|Arabic
as|Assamese|Indo-European|Bengali
ast|Asturian|Indo-European|Latin
av|Avaric|Nakh-Daghestanian|Cyrillic
awa|Awadhi|Indo-European|Devanagari
ay|Aymara|Aymaran|Latin
az|Azerbaijani|Turkic|Latin
ba|Bashkir|Turkic|Cyrillic
ban|Balinese|Austronesian|Latin
be|Belarusian|Indo-European|Cyrillic
bem|Bemba|Atlantic-Congo|Latin
bg|Bulgarian|Indo-European|Cyrillic
bho|Bhojpuri|Indo-European|Devanagari
bik|Bikol|Austronesian|Latin
bjn|Banjar|Austronesian|Latin
bm|Bambara|Mande|Latin
bn|Bengali|Indo-European|Bengali
bo|Tibetan|Sino-Tibetan|Tibetan
br|Breton|Indo-European|Latin
bs|Bosnian|Indo-European|Latin
bua|Buriat|Mongolic|Cyrillic
bug|Buginese|Austronesian|Latin
ca|Catalan|Indo-European|Latin
ce|Chechen|Nakh-Daghestanian|Cyrillic
ceb|Cebuano|Austronesian|Latin
ch|Chamorro|Austronesian|Latin
chm|Mari|Uralic|Cyrillic
chr|Cherokee|Iroquoian|Cherokee
cjk|Chokwe|Atlantic-Congo|Latin
ckb|Central Kurdish|Indo-European|Arabic
co|Corsican|Indo-European|Latin
crh|Crimean Tatar|Turkic|Latin
cs|Czech|Indo-European|Latin
csb|Kashubian|Indo-European|Latin
cv|Chuvash|Turkic|Cyrillic
cy|Welsh|Indo-European|Latin
da|Danish|Indo-European|Latin
de|German|Indo-European|Latin
din|Dinka|Nilotic|Latin
dsb|Lower Sorbian|Indo-European|Latin
dv|Dhivehi|Indo-European|Thaana
dyu|Dyula|Mande|Latin
dz|Dzongkha|Sino-Tibetan|Tibetan
ee|Ewe|Atlantic-Congo|Latin
el|Greek|Indo-European|Greek
en|English|Indo-European|Latin
eo|Esperanto|Constructed|Latin
es|Spanish|Indo-European|Latin
et|Estonian|Uralic|Latin
eu|Basque|Basque|Latin
ext|Extremaduran|Indo-European|Latin
fa|Persian|Indo-European|Arabic
ff|Fulah|Atlantic-Congo|Latin
fi|Finnish|Uralic|Latin
fj|Fijian|Austronesian|Latin
fo|Faroese|Indo-European|Latin
fon|Fon|Atlantic-Congo|Latin
fr|French|Indo-European|Latin
fur|Friulian|Indo-European|Latin
fuv|Nigerian Fulfulde|Atlantic-Congo|Latin
fy|Western Frisian|Indo-European|Latin
ga|Irish|Indo-European|Latin
gag|Gagauz|Turkic|Latin
gan|Gan Chinese|Sino-Tibetan|Han
gcf|Guadeloupean Creole|Indo-European|Latin
gcr|Guianese Creole|Indo-European|Latin
gd|Scottish Gaelic|Indo-European|Latin
gl|Galician|Indo-European|Latin
gn|Guarani|Tupian|Latin
gom|Goan Konkani|Indo-European|Devanagari
grc|Ancient Greek|Indo-European|Greek
gsw|Swiss German|Indo-European|Latin
gu|Gujarati|Indo-European|Gujarati
guw|Gun|Atlantic-Congo|Latin
gv|Manx|Indo-European|Latin
ha|Hausa|Afro-Asiatic|Latin
hak|Hakka Chinese|Sino-Tibetan|Han
haw|Hawaiian|Austronesian|Latin
hbo|Ancient Hebrew|Afro-Asiatic|Hebrew
he|Hebrew|Afro-Asiatic|Hebrew
hi|Hindi|Indo-European|Devanagari
hmn|Hmong|Hmong-Mien|Latin
hne|Chhattisgarhi|Indo-European|Devanagari
hr|Croatian|Indo-European|Latin
hsb|Upper Sorbian|Indo-European|Latin
ht|Haitian Creole|Indo-European|Latin
hu|Hungarian|Uralic|Latin
hy|Armenian|Indo-European|Armenian
hyw|Western Armenian|Indo-European|Armenian
ia|Interlingua|Constructed|Latin
id|Indonesian|Austronesian|Latin
ig|Igbo|Atlantic-Congo|Latin
ii|Sichuan Yi|Sino-Tibetan|Yi
ilo|Iloko|Austronesian|Latin
inh|Ingush|Nakh-Daghestanian|Cyrillic
io|Ido|Constructed|Latin
is|Icelandic|Indo-European|Latin
it|Italian|Indo-European|Latin
iu|Inuktitut|Eskimo-Aleut|Canadian Aboriginal
ja|Japanese|Japonic|Japanese
jbo|Lojban|Constructed|Latin
jv|Javanese|Austronesian|Latin
ka|Georgian|Kartvelian|Georgian
kab|Kabyle|Afro-Asiatic|Latin
kac|Jingpho|Sino-Tibetan|Latin
kam|Kamba|Atlantic-Congo|Latin
kbd|Kabardian|Abkhaz-Adyge|Cyrillic
kbp|Kabiyè|Atlantic-Congo|Latin
kea|Kabuverdianu|Indo-European|Latin
kg|Kongo|Atlantic-Congo|Latin
ki|Kikuyu|Atlantic-Congo|Latin
kk|Kazakh|Turkic|Cyrillic
kl|Kalaallisut|Eskimo-Aleut|Latin
km|Khmer|Austroasiatic|Khmer
kmb|Kimbundu|Atlantic-Congo|Latin
kn|Kannada|Dravidian|Kannada
ko|Korean|Koreanic|Hangul
kok|Konkani|Indo-European|Devanagari
kr|Kanuri|Saharan|Latin
krc|Karachay-Balkar|Turkic|Cyrillic
ks|Kashmiri|Indo-European|Arabic
ku|Kurdish|Indo-European|Latin
kv|Komi|Uralic|Cyrillic
kw|Cornish|Indo-European|Latin
ky|Kyrgyz|Turkic|Cyrillic
la|Latin|Indo-European|Latin
lb|Luxembourgish|Indo-European|Latin
lez|Lezghian|Nakh-Daghestanian|Cyrillic
lg|Ganda|Atlantic-Congo|Latin
li|Limburgish|Indo-European|Latin
lij|Ligurian|Indo-European|Latin
lmo|Lombard|Indo-European|Latin
ln|Lingala|Atlantic-Congo|Latin
lo|Lao|Kra-Dai|Lao
lt|Lithuanian|Indo-European|Latin
ltg|Latgalian|Indo-European|Latin
lua|Luba-Lulua|Atlantic-Congo|Latin
luo|Luo|Nilotic|Latin
lus|Mizo|Sino-Tibetan|Latin
lv|Latvian|Indo-European|Latin
lzh|Literary Chinese|Sino-Tibetan|Han
mag|Magahi|Indo-European|Devanagari
mai|Maithili|Indo-European|Devanagari
mg|Malagasy|Austronesian|Latin
mh|Marshallese|Austronesian|Latin
mi|Maori|Austronesian|Latin
min|Minangkabau|Austronesian|Latin
mk|Macedonian|Indo-European|Cyrillic
ml|Malayalam|Dravidian|Malayalam
mn|Mongolian|Mongolic|Cyrillic
mni|Manipuri|Sino-Tibetan|Bengali
mos|Mossi|Atlantic-Congo|Latin
mr|Marathi|Indo-European|Devanagari
ms|Malay|Austronesian|Latin
mt|Maltese|Afro-Asiatic|Latin
my|Burmese|Sino-Tibetan|Myanmar
myv|Erzya|Uralic|Cyrillic
nah|Nahuatl|Uto-Aztecan|Latin
nan|Min Nan Chinese|Sino-Tibetan|Han
nd|North Ndebele|Atlantic-Congo|Latin
nds|Low German|Indo-European|Latin
ne|Nepali|Indo-European|Devanagari
new|Newari|Sino-Tibetan|Devanagari
nl|Dutch|Indo-European|Latin
nn|Norwegian Nynorsk|Indo-European|Latin
no|Norwegian|Indo-European|Latin
nqo|N'Ko|Mande|Nko
nr|South Ndebele|Atlantic-Congo|Latin
nso|Northern Sotho|Atlantic-Congo|Latin
nus|Nuer|Nilotic|Latin
nv|Navajo|Athabaskan-Eyak-Tlingit|Latin
ny|Nyanja|Atlantic-Congo|Latin
oc|Occitan|Indo-European|Latin
om|Oromo|Afro-Asiatic|Latin
or|Odia|Indo-European|Oriya
os|Ossetian|Indo-European|Cyrillic
pa|Punjabi|Indo-European|Gurmukhi
pag|Pangasinan|Austronesian|Latin
pam|Pampanga|Austronesian|Latin
pap|Papiamento|Indo-European|Latin
pcm|Nigerian Pidgin|Indo-European|Latin
pl|Polish|Indo-European|Latin
ps|Pashto|Indo-European|Arabic
pt|Portuguese|Indo-European|Latin
qu|Quechua|Quechuan|Latin
rm|Romansh|Indo-European|Latin
rn|Rundi|Atlantic-Congo|Latin
ro|Romanian|Indo-European|Latin
ru|Russian|Indo-European|Cyrillic
rue|Rusyn|Indo-European|Cyrillic
rw|Kinyarwanda|Atlantic-Congo|Latin
sa|Sanskrit|Indo-European|Devanagari
sah|Yakut|Turkic|Cyrillic
sat|Santali|Austroasiatic|Ol Chiki
sc|Sardinian|Indo-European|Latin
scn|Sicilian|Indo-European|Latin
sco|Scots|Indo-European|Latin
sd|Sindhi|Indo-European|Arabic
sdh|Southern Kurdish|Indo-European|Arabic
se|Northern Sami|Uralic|Latin
sg|Sango|Atlantic-Congo|Latin
shn|Shan|Kra-Dai|Myanmar
si|Sinhala|Indo-European|Sinhala
sk|Slovak|Indo-European|Latin
sl|Slovenian|Indo-European|Latin
sm|Samoan|Austronesian|Latin
sn|Shona|Atlantic-Congo|Latin
so|Somali|Afro-Asiatic|Latin
sq|Albanian|Indo-European|Latin
sr|Serbian|Indo-European|Cyrillic
ss|Swati|Atlantic-Congo|Latin
st|Southern Sotho|Atlantic-Congo|Latin
su|Sundanese|Austronesian|Latin
sv|Swedish|Indo-European|Latin
sw|Swahili|Atlantic-Congo|Latin
syr|Syriac|Afro-Asiatic|Syriac
szl|Silesian|Indo-European|Latin
ta|Tamil|Dravidian|Tamil
te|Telugu|Dravidian|Telugu
tet|Tetum|Austronesian|Latin
tg|Tajik|Indo-European|Cyrillic
th|Thai|Kra-Dai|Thai
ti|Tigrinya|Afro-Asiatic|Ethiopic
tk|Turkmen|Turkic|Latin
tl|Tagalog|Austronesian|Latin
tlh|Klingon|Constructed|Latin
tn|Tswana|Atlantic-Congo|Latin
to|Tongan|Austronesian|Latin
tok|Toki Pona|Constructed|Latin
tpi|Tok Pisin|Indo-European|Latin
tr|Turkish|Turkic|Latin
ts|Tsonga|Atlantic-Congo|Latin
tt|Tatar|Turkic|Cyrillic
tum|Tumbuka|Atlantic-Congo|Latin
ty|Tahitian|Austronesian|Latin
tyv|Tuvinian|Turkic|Cyrillic
udm|Udmurt|Uralic|Cyrillic
ug|Uyghur|Turkic|Arabic
uk|Ukrainian|Indo-European|Cyrillic
umb|Umbundu|Atlantic-Congo|Latin
ur|Urdu|Indo-European|Arabic
uz|Uzbek|Turkic|Latin
uzs|Southern Uzbek|Turkic|Arabic
ve|Venda|Atlantic-Congo|Latin
vec|Venetian|Indo-European|Latin
vi|Vietnamese|Austroasiatic|Latin
vo|Volapük|Constructed|Latin
wa|Walloon|Indo-European|Latin
war|Waray|Austronesian|Latin
wo|Wolof|Atlantic-Congo|Latin
wuu|Wu Chinese|Sino-Tibetan|Han
xal|Kalmyk|Mongolic|Cyrillic
xh|Xhosa|Atlantic-Congo|Latin
xmf|Mingrelian|Kartvelian|Georgian
yi|Yiddish|Indo-European|Hebrew
yo|Yoruba|Atlantic-Congo|Latin
yue|Cantonese|Sino-Tibetan|Han
za|Zhuang|Kra-Dai|Latin
zh|Chinese|Sino-Tibetan|Han
zu|Zulu|Atlantic-Congo|Latin
zza|Zaza|Indo-European|Latin
"""
