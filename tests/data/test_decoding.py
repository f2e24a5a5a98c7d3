"""Texts in the encodings that people have them in."""

import pytest

from isoglot.data.decoding import decode

SENTENCES = {
    "Die Größe der Bäume überraschte uns; über den Flüssen lag schöner Nebel.": "cp1252",
    "Les élèves étaient déjà là, près de la forêt où l'été s'achève.": "cp1252 mac_roman cp437 cp850",
    "Библиотека открыта каждый день, кроме понедельника.": "cp1251 koi8_r cp866 iso8859_5",
    "Бібліотека відкрита щодня, крім понеділка, їжа заборонена.": "cp1251 koi8_u",
    "Библиотеката е отворена всеки ден освен понеделник.": "cp1251",
    "Η βιβλιοθήκη είναι ανοιχτή κάθε μέρα εκτός από Δευτέρα.": "cp1253 iso8859_7 mac_greek",
    "Kütüphane pazartesi dışında her gün açıktır; öğrenciler şöyle dedi.": "cp1254 cp857",
    "הספרייה פתוחה כל יום חוץ מיום שני.": "cp1255",
    "المكتبة مفتوحة كل يوم ما عدا يوم الاثنين.": "cp1256",
    "ห้องสมุดเปิดทุกวันยกเว้นวันจันทร์": "cp874",
    "图书馆每天开放，星期一除外。读者可以借阅书籍。": "gb18030",
    "圖書館每天開放，星期一除外。讀者可以借閱書籍。": "big5",
    "図書館は月曜日に休館します。本を借りることができます。": "cp932 euc_jp iso2022_jp",
    "도서관은 월요일을 제외하고 매일 문을 엽니다.": "cp949 iso2022_kr",
    "Biblioteka jest otwarta codziennie oprócz poniedziałku; żółw źle się czuł.": "cp1250 iso8859_2",
    "A könyvtár hétfő kivételével minden nap nyitva tart; őrült űrhajós.": "cp1250",
    "Biblioteka dirba kasdien, išskyrus pirmadienį; žąsų šešėlis.": "cp1257",
    "पुस्तकालय सोमवार को छोड़कर हर दिन खुला रहता है।": "",
    "நூலகம் திங்கட்கிழமை தவிர ஒவ்வொரு நாளும் திறந்திருக்கும்.": "",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_encodings(sentence):
    unmarked = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
    for encoding in (*unmarked, *SENTENCES[sentence].split()):
        decoded = decode(sentence.encode(encoding))
        assert decoded is not None
        assert decoded.text == sentence, encoding
        assert decoded.guessed == (encoding not in (*unmarked, "iso2022_jp", "iso2022_kr"))


@pytest.mark.parametrize(
    "text",
    ["Biblioteka", "Haus, außer am", "使用 pip 命令", "ቤተ መጻሕፍቱ በየቀኑ ክፍት ነው።", "∑∫√≤≥ ⇒ x²", "id,text"],
)
def test_short_texts_in_utf16_without_a_mark(text):
    for encoding in ("utf-16-le", "utf-16-be"):
        assert decode(text.encode(encoding)) == (text, encoding, False, 0)


def test_pictures_and_archives_are_no_texts():
    for start in (b"\xff\xd8\xff\xe0\x00\x10JFIF", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.4"):
        assert decode(start + bytes(range(256)) * 4) is None
    for start in ("RIFF", "GIF89a", "%PDF-", "SQLite format 3"):
        assert decode(f"{start} heißt ein Kopf.\n".encode()) == (f"{start} heißt ein Kopf.\n", "utf-8", False, 0)
    # Halves of pairs are no UTF-16, whatever block they seem to be of.
    assert decode(b"".join(n.to_bytes(2, "big") for n in range(0xD800, 0xDC00))) is None


@pytest.mark.parametrize("markup", [False, True])
@pytest.mark.parametrize("sentence", [text for text in SENTENCES if not text.isascii()])
def test_utf8_with_a_few_bytes_that_are_none_stays_utf8(sentence, markup):
    head = '<meta charset="windows-1251">' if markup else ""
    text = f"{head}{sentence * 12} Ende"
    cut = f"{head}{sentence * 12}é".encode()[:-1]  # as by a download that ended early
    amid = text.encode().replace(b" Ende", b" \xe9 \xff Ende")  # as where files are put together
    for data, lost in ((cut, 1), (amid, 2)):
        decoded = decode(data, markup=markup)
        assert decoded is not None
        assert (decoded.encoding, decoded.guessed, decoded.lost) == ("utf-8", False, lost)
        assert decoded.text.startswith(f"{head}{sentence * 12}")
        assert decoded.text.count("\ufffd") == lost
        assert str(lost) in decoded.note
    own = f"{text} \ufffd".encode()
    assert decode(own) == (own.decode(), "utf-8", False, 0)


@pytest.mark.parametrize("name", ["windows-874", "x-mac-cyrillic", "x-sjis", "iso-8859-8-i", "x-cp1251", "KOI8-RU"])
def test_names_of_encodings_that_browsers_know(name):
    text, encoding = {
        "windows-874": ("ห้องสมุดเปิดทุกวัน", "cp874"),
        "x-mac-cyrillic": ("Библиотека открыта", "mac_cyrillic"),
        "x-sjis": ("図書館は休館します。", "cp932"),
        "iso-8859-8-i": ("הספרייה פתוחה", "iso8859_8"),
        "x-cp1251": ("Библиотека открыта", "cp1251"),
        "KOI8-RU": ("Бібліотека відкрита", "koi8_u"),
    }[name]
    page = f'<meta charset="{name}"><p>{text}</p>'
    decoded = decode(page.encode(encoding), markup=True)
    assert decoded is not None
    assert (decoded.text, decoded.guessed) == (page, False)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_pages_without_a_declaration_whose_head_is_long(sentence):
    """A kilobyte of script and of English licence says nothing about the encoding of the text."""
    script = "".join(f"var place{n} = document.getElementById('place{n}');\n" for n in range(80))
    licence = "This page may be copied and changed by everybody who keeps this notice.\n" * 30
    for encoding in SENTENCES[sentence].replace("iso2022_kr", "").split():
        for page in (
            f"<html><head><script>{script}</script><!-- {licence} --></head><body><p>{sentence}</p></body></html>",
            f"<style>{script}</style><p class='a'>{sentence}</p>".replace("\n", " "),
            f"{licence}\n{sentence}\n",
        ):
            decoded = decode(page.encode(encoding), markup=page.startswith("<"))
            assert decoded is not None
            assert decoded.text == page, encoding
