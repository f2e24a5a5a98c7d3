"""The form in which texts and queries meet. Right values are by hand: what readers of a script take for one word."""

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.languages import marks, normal_form, words
from isoglot.languages.letters import IGNORABLE
from isoglot.languages.normal_form import aligned, search_form
from isoglot.languages.words import index_terms, query_terms


def nfd(text):
    return unicodedata.normalize("NFD", text)


# Two spellings of one word, by what makes them differ.
ONE = [
    ("NFD of Vietnamese", "Thành phố Đà Nẵng", nfd("Thành phố Đà Nẵng")),
    ("NFD of Korean", "지하철", nfd("지하철")),
    ("NFD of Japanese", "ガラス", nfd("ガラス")),
    ("compatibility jamo", "하", "ㅎㅏ"),
    ("half-width kana", "データベース", "ﾃﾞｰﾀﾍﾞｰｽ"),
    ("full-width letters and digits", "ABC 123", "ＡＢＣ　１２３"),
    ("Kangxi radical", "网上", "⽹上"),
    ("radical of simplified characters", "长江", "⻓江"),
    ("compatibility ideograph", "豈", "\uf900"),
    ("Arabic presentation forms", "تفتح المكتبة صباحا", "ﺗﻔﺘﺢ اﻟﻤﻜﺘﺒﺔ ﺻﺒﺎﺣﺎ"),
    ("harakat", "الطالب", "الطَّالِبُ"),
    ("tatweel", "محمد", "محـــمد"),
    ("hamza on alef", "احمد", "أحمد"),
    ("alef wasla", "الرحمن", "ٱلرَّحْمَٰنِ"),
    ("Persian letters on an Arabic keyboard", "کتابی", "كتابي"),
    ("ezafe", "خانه", "خانهٔ"),
    ("zero-width non-joiner", "کتابها", "کتاب\u200cها"),
    ("niqqud", "ספר", "סֵפֶר"),
    ("Yiddish digraph", "וואס", "װאָס"),
    ("gershayim", 'צה"ל', "צה״ל"),
    ("tonos", "αθηνα", "Αθήνα"),
    ("final sigma", "ΟΔΟΣ", "οδος"),
    ("iota subscript", "ωδη", "ᾠδή"),
    ("dotted capital I", "izmir", "İzmir"),
    ("dotless i", "ISPARTA", "ısparta"),
    ("sharp s", "STRASSE", "Straße"),
    ("ligature", "fine flow", "ﬁne ﬂow"),
    ("stroke", "lodz", "Łódź"),
    ("two letters in one", "aether", "Æther"),
    ("soft hyphen", "Donaudampfschiff", "Donau\u00addampf\u00adschiff"),
    ("byte order mark", "Text", "\ufeffText"),
    ("bidirectional controls", "abc", "\u202babc\u202c"),
    ("variation selector", "☃", "☃\ufe0f"),
    ("yo", "елка", "Ёлка"),
    ("stress", "замок", "за\u0301мок"),
    ("apostrophe of Ukrainian", "п'ять", "п’ять"),
    ("elision", "l eau", "l’eau"),
    ("digits of scripts", "2024", "٢٠٢٤"),
    ("digits of Devanagari", "१५".replace("१", "1").replace("५", "5"), "१५"),
    ("sara am", "น้ำ", "น้\u0e4d\u0e32"),
    ("sara am with the tone last", "น้ำ", "น\u0e4d้\u0e32"),
    ("two sara e", "แม่", "เเม่"),
    ("Lao am", "ນ້ຳ", "ນ\u0ecd້\u0eb2"),
    ("chillu", "അവൻ", "അവന\u0d4d\u200d"),
    ("khanda ta", "উৎসব", "উত\u09cd\u200dসব"),
    ("nukta letter", "क़लम", "क\u093cलम"),
    ("Georgian capitals", "თბილისი", "ᲗᲑᲘᲚᲘᲡᲘ"),
    ("Ethiopic gemination", "አለ", "አለ\u135f"),
    ("Cherokee small letters", "ᏣᎳᎩ", "ꮳꮃꭹ"),
    ("double prime of a musical sign", "no 5", "№ 5"),
]

# What must stay apart: another word.
TWO = [
    ("й is a letter", "май", "маи"),
    ("ї is a letter", "їх", "іх"),
    ("ќ is a letter", "ќе", "ке"),
    ("ӣ is a letter", "ӣ", "и"),
    ("ў is a letter", "ў", "у"),
    ("voicing", "ガラス", "カラス"),
    ("semi-voicing", "パン", "ハン"),
    ("vowel sign of Hindi", "की", "का"),
    ("virama", "क्या", "कया"),
    ("nukta", "सड़क", "सडक"),
    ("anusvara of Tamil script", "கடல்", "கடல"),
    ("tone of Thai", "ข้าว", "ขาว"),
    ("vowel of Thai", "กิน", "กิ่น"),
    ("tone of Lao", "ນ້ຳ", "ນຳ"),
    ("medial of Burmese", "ကျ", "ကြ"),
    ("vowel of Khmer", "កា", "កី"),
    ("hamza on waw", "مؤمن", "مومن"),
    ("alef maqsura", "على", "علي"),
    ("ta marbuta", "كتابة", "كتابه"),
    ("Urdu aspiration", "پھل", "پہل"),
    ("kana of two kinds", "はな", "ハナ"),
    ("simplified and traditional", "图", "圖"),
    ("final consonant of Korean", "각", "가"),
    ("vowels of Dhivehi", "ދި", "ދު"),
    ("words", "ein haus", "einhaus"),
]


def test_examples_in_docstrings():
    for module in (normal_form, marks, words):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("a", "b"), [pair[1:] for pair in ONE], ids=[pair[0] for pair in ONE])
def test_spellings_of_one_word_meet(a, b):
    assert search_form(a) == search_form(b)


@pytest.mark.parametrize(("a", "b"), [pair[1:] for pair in TWO], ids=[pair[0] for pair in TWO])
def test_other_words_stay_apart(a, b):
    assert search_form(a) != search_form(b)


def test_every_character_by_itself():
    """All of Unicode: applied again the form is the same, and the way back has its length."""
    wrong = []
    for code in range(0x20, 0x20000):
        if 0xD800 <= code < 0xE000:
            continue
        text = f"ka{chr(code)}m"
        form = search_form(text)
        back = aligned(text)
        if search_form(form) != form or back.form != form or len(back.spans) != len(form):
            wrong.append(hex(code))
    assert wrong == []


BLOCKS = [
    (0x20, 0x24F),
    (0x300, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xDFF),
    (0xE00, 0xEFF),
    (0x1000, 0x11FF),
    (0x1780, 0x17FF),
    (0x1E00, 0x206F),
    (0x2E80, 0x31EF),
    (0xAC00, 0xAC80),
    (0xF900, 0xFDFF),
    (0xFE00, 0xFFEF),
]
texts = st.one_of(
    st.text(max_size=40),
    *(st.text(st.characters(min_codepoint=first, max_codepoint=last), max_size=20) for first, last in BLOCKS),
)


@given(texts)
def test_forms_are_their_own_form_and_aligned(text):
    form = search_form(text)
    assert search_form(form) == form
    back = aligned(text)
    assert back.form == form
    assert len(back.spans) == len(form)
    assert all(0 <= start < end <= len(text) for start, end in back.spans)
    assert back.spans == sorted(back.spans)


@given(texts)
def test_canonically_equal_texts_have_one_form(text):
    assert search_form(unicodedata.normalize("NFD", text)) == search_form(unicodedata.normalize("NFC", text))


@given(texts)
def test_letters_never_go(text):
    unseen = set(range(0xAD, 0xAE)) | {ord(char) for char in "\u0640\u115f\u1160\u3164\uffa0"}
    if any(char.isalpha() and ord(char) not in unseen for char in text):
        assert any(map(str.isalnum, search_form(text)))


@given(st.lists(texts, min_size=1, max_size=4), st.data())
def test_words_of_a_text_are_found_in_it(parts, data):
    text = " ".join(parts)
    part = data.draw(st.sampled_from(text.split(" ")))
    assert set(query_terms(search_form(part))) <= set(index_terms(search_form(text)))


def test_ignorables_are_those_of_unicode():
    """Every character of general category Cf that is not drawn, but those that are marks of Arabic or of notation."""
    import re

    left = {
        hex(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) == "Cf" and not re.match(f"[{IGNORABLE}]", chr(code))
    }
    drawn = {hex(code) for code in (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD)}
    notation = {hex(code) for code in (0xFFF9, 0xFFFA, 0xFFFB, *range(0x13430, 0x13440))}
    assert left <= drawn | notation
