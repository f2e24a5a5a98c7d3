"""Detection on the project's own texts, and on sentences written for these tests."""

import doctest
import json
from importlib.resources import files

import pytest

from isoglot.languages import detection
from isoglot.languages.detection import detect, rank

SENTENCES = {
    "ar": "مرحبا بالعالم",
    "bg": "Библиотеката е затворена всеки понеделник, защото тогава няма читатели.",
    "bn": "গ্রন্থাগার সোমবার বন্ধ থাকে।",
    "ca": "La biblioteca és tancada els dilluns.",
    "cs": "Knihovna je v pondělí zavřená.",
    "da": "Hvad hedder du, og hvor kommer du fra?",
    "de": "Die Bücherei ist montags geschlossen.",
    "dv": "ދިވެހި ބަސް",
    "el": "Η βιβλιοθήκη είναι κλειστή τη Δευτέρα.",
    "es": "La biblioteca cierra los lunes.",
    "et": "Raamatukogu on esmaspäeviti suletud.",
    "fa": "کتابخانه دوشنبه‌ها تعطیل است.",
    "fi": "Kirjasto on maanantaisin suljettu.",
    "fr": "La bibliothèque est fermée le lundi.",
    "he": "הספרייה סגורה ביום שני.",
    "hi": "पुस्तकालय सोमवार को बंद रहता है।",
    "hu": "A könyvtár hétfőn zárva van.",
    "hy": "Գրադարանը երկուշաբթի փակ է։",
    "id": "Perpustakaan tutup pada hari Senin.",
    "it": "La biblioteca è chiusa il lunedì.",
    "ja": "図書館は月曜日に閉まっています。",
    "ka": "ბიბლიოთეკა ორშაბათს დაკეტილია.",
    "km": "បណ្ណាល័យបិទនៅថ្ងៃច័ន្ទ",
    "ko": "도서관은 월요일에 문을 닫습니다.",
    "lt": "Biblioteka pirmadieniais nedirba.",
    "my": "စာကြည့်တိုက်သည် တနင်္လာနေ့တွင် ပိတ်သည်။",
    "nl": "De bibliotheek is op maandag gesloten.",
    "no": "Oslo er hovedstaden i Norge.",
    "pl": "Biblioteka jest zamknięta w poniedziałki.",
    "pt": "A biblioteca está fechada às segundas-feiras.",
    "ro": "Biblioteca este închisă lunea.",
    "ru": "Библиотека закрыта по понедельникам.",
    "sv": "Biblioteket är stängt på måndagar.",
    "ta": "நூலகம் திங்கட்கிழமை மூடப்படும்.",
    "th": "ห้องสมุดปิดวันจันทร์",
    "tr": "Kütüphane pazartesi günleri kapalıdır.",
    "uk": "Бібліотека зачинена щопонеділка.",
    "ur": "کتب خانہ پیر کو بند رہتا ہے۔",
    "vi": "Thư viện đóng cửa vào thứ Hai.",
    "zh": "图书馆每周一闭馆。",
}


def test_examples_in_docstrings():
    assert doctest.testmod(detection).failed == 0


@pytest.mark.parametrize("code", SENTENCES)
def test_one_sentence(code):
    assert detect(SENTENCES[code]) == code


@pytest.mark.parametrize(
    "text",
    ["复制文件和目录。", "我想吃苹果", "圖書館每週一休館。", "今天天气很好，我们去散步吧。", "FastAPI 的依赖"],
)
def test_chinese_is_not_split_between_its_varieties(text):
    assert detect(text) == "zh"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("図書館", "ja"),  # no kana, but a character that only Japan writes
        ("Pydantic モデル", "ja"),
        ("Full Stack FastAPI 템플릿", "ko"),
        ("Server Workers - Uvicorn mit mehreren Prozessen benutzen", "de"),
        ("The word 你好 means hello in Chinese, and nothing else.", "en"),
        ("Eg veit ikkje kva du heiter.", "no"),  # Nynorsk counts to Norwegian
        ("་བོད་སྐད་", "bo"),
        ("ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ", "chr"),
    ],
)
def test_scripts_tell(text, code):
    assert detect(text) == code


@pytest.mark.parametrize("text", ["", "2024", "— 3.14 —", "\u0301", "🙂", "𐌲𐌿𐍄"])
def test_what_no_language_is_told_of(text):
    assert detect(text) == "und"


def test_ranks_are_probabilities():
    for text in SENTENCES.values():
        ranked = rank(text)
        assert sum(chance for _, chance in ranked) == pytest.approx(1)
        assert [chance for _, chance in ranked] == sorted((chance for _, chance in ranked), reverse=True)
        assert not {"wuu", "yue", "ary", "arz", "nn"} & {code for code, _ in ranked}


def test_among_some_languages_only():
    assert detect("Die Bücherei ist montags geschlossen.", ("EN", "fra"), threshold=0.0) in ("en", "fr")
    assert detect("图书馆每周一闭馆。", ("yue", "de"), threshold=0.0) == "yue"
    assert detect("Hallo", ("xx",)) == "und"


@pytest.mark.parametrize(
    ("text", "among", "code"),
    [
        ("圖書館每週一至週五開放。", ("en", "zh-Hant"), "zh-Hant"),
        ("图书馆每周一闭馆。", ("zh-Hant", "zh", "en"), "zh"),
        ("Biblioteka je otvorena od ponedeljka do petka, a čitaoci pozajmljuju knjige.", ("de", "sr-Latn"), "sr-Latn"),
        ("图书馆每周一闭馆。", ("yue", "zh-Hant"), "zh-Hant"),
    ],
)
def test_among_languages_of_one_writing(text, among, code):
    assert detect(text, among, threshold=0.0) == code


def test_fewer_than_two_in_a_hundred_questions_of_the_atlas_are_missed():
    text = (files("isoglot") / "atlas" / "test.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    missed = [(row["lang"], row["query"]) for row in rows if detect(row["query"]) != row["lang"]]
    assert len(missed) < 0.02 * len(rows)
