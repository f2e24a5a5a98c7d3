"""Letters that search treats as equal although NFKC and case folding do not; most map one code point to another."""

from __future__ import annotations

import unicodedata

# Latin letters that Unicode does not decompose into a letter and a mark; Turkish ı is equated with I and i.
_LATIN = {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}

# The same letter with different code points: on Persian and Urdu keyboards and on Arabic ones; alef wasla is an alef.
# Alef maqsura (ى) and ta marbuta (ة) are kept: without them علي and على would be one word.
_ARABIC = {"ی": "ي", "ک": "ك", "ہ": "ه", "ٱ": "ا", "ـ": ""}

# Yiddish digraphs, which keyboards enter as two letters.
_HEBREW = {"װ": "וו", "ױ": "וי", "ײ": "יי", "׳": "'", "״": '"'}

# Apostrophes and their substitutes: a modifier letter, quotation marks, an ʻokina. Underscores join words, as
# hyphens do; a sharp sign is typed as a number sign.
_SIGNS = dict.fromkeys("\u2018\u2019\u201b\u02bc\u02bb\u02b9\u055a\uff07\u0060\u00b4", "'") | {"_": "-", "♯": "#"}

# CJK radicals that PDF files contain in place of the characters (Unicode's EquivalentUnifiedIdeograph; Kangxi radicals
# are handled by NFKC).
_RADICALS = """
⺁厂 ⺂乛 ⺃乚 ⺄乙 ⺅亻 ⺆冂 ⺇𠘨 ⺈刀 ⺉刂 ⺊卜 ⺋㔾 ⺌小 ⺍尐 ⺎兀 ⺏尣 ⺐尢 ⺑𡯂 ⺒巳 ⺓幺 ⺔彑 ⺕彐 ⺖忄
⺗心 ⺘扌 ⺙攵 ⺛旡 ⺜日 ⺝月 ⺞歺 ⺠民 ⺡氵 ⺢氺 ⺣灬 ⺤爫 ⺥爬 ⺦丬 ⺧牛 ⺨犭 ⺩王 ⺪𤴔 ⺫目 ⺬示 ⺭礻 ⺮𥫗
⺯糹 ⺰纟 ⺱罓 ⺲罒 ⺳㓁 ⺴冗 ⺵𦉫 ⺶羊 ⺷𦍌 ⺸𦍋 ⺹耂 ⺺肀 ⺻聿 ⺼肉 ⺽𦥑 ⺾艹 ⺿艺 ⻀艻 ⻁虎 ⻂衤 ⻃覀 ⻄西
⻅见 ⻆角 ⻇𧢲 ⻈讠 ⻉贝 ⻊𧾷 ⻋车 ⻌辶 ⻍辷 ⻎辸 ⻏邑 ⻐钅 ⻑長 ⻒镸 ⻓长 ⻔门 ⻕𨸏 ⻖阝 ⻗雨 ⻘青 ⻙韦 ⻚页
⻛风 ⻜飞 ⻝食 ⻞𩙿 ⻟飠 ⻠饣 ⻡𩠐 ⻢马 ⻣骨 ⻤鬼 ⻥鱼 ⻦鸟 ⻧卤 ⻨麦 ⻩黄 ⻪黾 ⻫斉 ⻬齐 ⻭歯 ⻮齿 ⻯竜 ⻰龙
⻱龜 ⻲亀
"""

# Unicode's Default_Ignorable_Code_Point, and the byte order mark: soft hyphens, joiners, directional marks, variation
# selectors, fillers. Also Arabic marks encoded as separate characters in old files, which NFKC would turn into a space
# and a mark in the middle of a word.
IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufc5e-\ufc63\ufe70\ufe72\ufe74\ufe76\ufe78\ufe7a\ufe7c\ufe7e\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)


class _Letters(dict[int, str | int]):
    """A table for `str.translate` that caches code points on first use; maps decimal digits of all scripts to ASCII."""

    def __missing__(self, code: int) -> str | int:
        value = unicodedata.decimal(chr(code), None)
        self[code] = code if value is None else str(value)
        return self[code]


_ONES = _LATIN | _ARABIC | _HEBREW | _SIGNS | {pair[0]: pair[1] for pair in _RADICALS.split()}
LETTERS = _Letters({ord(letter): other for letter, other in _ONES.items()})
"""For `str.translate`, after case folding."""
