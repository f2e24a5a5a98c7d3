"""The form in which texts and queries meet. Right values are by hand: what readers of a script take for one word."""

import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.languages import combining_marks, compounds, normal_form, word_pattern, words
from isoglot.languages.equal_letters import IGNORABLE
from isoglot.languages.normal_form import aligned, search_form
from isoglot.languages.word_pattern import clusters
from isoglot.languages.words import search_terms


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
    ("acute accent for an apostrophe", "п'ять", "п´ять"),
    ("harakat as characters of their own", "كتاب", "ك\ufe7aت\ufe76اب"),
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
    for module in (normal_form, combining_marks, compounds, word_pattern, words):
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
    assert set(search_terms(search_form(part))) <= set(search_terms(search_form(text)))


# A text, and what somebody looks for in it; no dictionary has to agree that it is a word.
PARTS = [
    ("圖書館每週一休館。", "圖書"),
    ("東京都庁は新宿にある。", "京都"),
    ("北京大学生前来应聘", "大学"),
    ("データベースサーバー", "サーバー"),
    ("お茶を飲む", "茶"),
    ("人々が集まる", "人々"),
    ("𠮷野家", "野家"),
    ("ㄅㄆㄇ", "ㄅ"),
    ("서울에는 지하철노선이 많다.", "서울"),
    ("서울에는 지하철노선이 많다.", "지하철"),
    ("도서관에서", "도서관은"),
    ("물이 맑다", "물"),
    ("ประเทศไทยมีห้องสมุดประชาชน", "ไทย"),
    ("เราไปโรงเรียน", "ไป"),
    ("ຫໍສະໝຸດປິດວັນຈັນ", "ວັນຈັນ"),
    ("បណ្ណាល័យបិទនៅថ្ងៃច័ន្ទ", "ថ្ងៃ"),
    ("စာကြည့်တိုက်သည် တနင်္လာနေ့တွင် ပိတ်သည်။", "တနင်္လာ"),
    ("ᦀᦟᦲᧁᦺᦞ", "ᦀᦟᦲ"),
    ("ꀊꂧꆏꉙ", "ꆏ"),
    ("བོད་སྐད་ཡིན", "སྐད"),
    ("iPhone15发布了", "iphone15"),
    ("东京2020奥运会", "2020"),
    ("Send to user@example.com", "example"),
    ('Use f"hello {name}" here', "hello"),
    ("απ’αυτό", "αυτό"),
    ("I ❤️ NY 😀", "😀"),
    ("👍🏽 done", "👍"),
    ("🇩🇪 und 🇫🇷", "🇫🇷"),
    ("a price of €5", "€"),
    ("𑄇𑄧𑄟", "𑄇𑄧𑄟"),
]


@pytest.mark.parametrize(("text", "query"), PARTS)
def test_what_is_in_a_text_finds_it(text, query):
    wanted = set(search_terms(search_form(query)))
    there = set(search_terms(search_form(text)))
    assert wanted & there
    # A Korean word with another ending shares what is before it.
    assert wanted <= there or query == "도서관은"


# Inflected forms of one word.
FORMS = [
    ("English", "planets", "planetary"),
    ("German", "Straße", "Straßen"),
    ("Spanish", "canción", "canciones"),
    ("Russian", "городами", "город"),
    ("Greek", "άνθρωπος", "ανθρώπους"),
    ("Turkish", "kitaplarımız", "kitaptan"),
    ("Finnish", "taloissa", "talossa"),
    ("Arabic article", "كتاب", "الكتاب"),
    ("Arabic conjunction and article", "كتاب", "والكتاب"),
    ("Arabic preposition and article", "مدرسة", "للمدرسة"),
    ("Arabic conjunction, preposition and article", "مدرسة", "وبالمدرسة"),
    ("Arabic article before waw", "وزير", "الوزير"),
    ("Arabic article before waw and two letters", "وقت", "الوقت"),
    ("Arabic conjunction before waw", "وزارة", "ووزارة"),
    ("Arabic ending", "مدرسة", "مدرستها"),
    ("Persian plural", "کتاب", "کتاب‌ها"),
    ("Hindi oblique", "लड़का", "लड़के"),
    ("anusvara for a dental nasal", "हिन्दी", "हिंदी"),
    ("anusvara for a labial nasal", "सम्बन्ध", "संबंध"),
    ("chandrabindu", "चाँद", "चांद"),
    ("nukta of loan words", "ज़मीन", "जमीन"),
]


@pytest.mark.parametrize(("a", "b"), [pair[1:] for pair in FORMS], ids=[pair[0] for pair in FORMS])
def test_forms_of_one_word_share_a_term(a, b):
    one, other = (set(search_terms(search_form(word))) for word in (a, b))
    assert one & other
    assert not set(search_terms(search_form(a), beginnings=False)) & set(search_terms(search_form(b), beginnings=False))
    # The word itself is in a text that has it as well, so it scores higher.
    assert one - other


@pytest.mark.parametrize(
    "word", ["haus", "tag", "v1", "utf16le", "2024", "covid19", "من", "€", "😀", "図書館", "도서관", "ไทย"]
)
def test_short_words_codes_and_scripts_without_spaces_have_no_beginning(word):
    assert not any(term.endswith("*") for term in search_terms(search_form(word)))


@given(texts)
def test_beginnings_only_add_terms(text):
    form = search_form(text)
    every = search_terms(form)
    assert [term for term in every if not term.endswith("*")] == search_terms(form, beginnings=False)


def test_what_is_one_word_stays_one():
    for word in ('צה"ל', "п'ять", "ג'ירפה"):
        assert search_terms(search_form(word))[0] == word
        assert search_terms(search_form(word), beginnings=False) == [word]
    assert search_terms("🇩🇪🇫🇷") == ["🇩🇪", "🇫🇷"]


@given(st.text(st.sampled_from("圖書館閉한국어ガラスー々ㄅꀊ"), min_size=1, max_size=12), st.data())
def test_any_part_of_a_stretch_finds_it(text, data):
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first + 1, len(text)))
    assert set(search_terms(text[first:last])) <= set(search_terms(text))


@given(st.text(st.characters(min_codepoint=0xE00, max_codepoint=0xEFF), max_size=20))
def test_clusters_join_to_the_stretch(text):
    assert "".join(clusters(text)) == text


def test_every_letter_and_digit_is_a_term():
    """All of Unicode, but what is not seen and joins what it stands between."""
    silent = {0x640, 0x115F, 0x1160, 0x3164, 0xFFA0}  # tatweel and fillers
    silent |= {0x2B9, 0x2BB, 0x2BC, 0x374, 0x37A}  # apostrophes, a mark
    silent |= {*range(0xFC5E, 0xFC64), *range(0xFCF2, 0xFCF5), *range(0xFE70, 0xFE80)}  # marks of Arabic
    lost = [
        hex(code)
        for code in range(0x110000)
        if chr(code).isalnum() and code not in silent and not search_terms(search_form(chr(code)))
    ]
    assert lost == []


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
