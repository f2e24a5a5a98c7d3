"""The language of a document: what its file or record states, and when the text knows better."""

import json

import docx
import pytest

from isoglot.core.problems import Problems
from isoglot.documents.reading import read_files

GREEK = "Η βιβλιοθήκη είναι ανοιχτή από Δευτέρα έως Παρασκευή, και οι αναγνώστες δανείζονται βιβλία. "
ROMANIAN = "Biblioteca este deschisă de luni până vineri, iar cititorii pot împrumuta până la cinci cărți. "
CHINESE = "圖書館週一至週五開放。讀者最多可借五本書，借期三週。"


def read(path):
    problems = Problems()
    return list(read_files(path, problems)), problems


def page(lang, *paragraphs):
    return f"<html lang='{lang}'><title>T</title>{''.join(f'<p>{text}</p>' for text in paragraphs)}</html>"


@pytest.mark.parametrize(("declared", "text", "lang"), [("en", GREEK, "el"), ("en-US", ROMANIAN * 3, "ro")])
def test_a_template_s_language_does_not_count_where_the_text_is_another_for_certain(tmp_path, declared, text, lang):
    (tmp_path / "a.html").write_text(page(declared, text), encoding="utf-8")
    ((document,), problems) = read(tmp_path)
    assert document.lang == lang
    assert f"but is in {lang!r}" in problems.shown[0]


@pytest.mark.parametrize(
    ("declared", "text", "lang"),
    [
        ("ti", "ቤተ ንባብ ካብ ሰኑይ ክሳብ ዓርቢ ክፉት እዩ። ኣንበብቲ መጻሕፍቲ ክልቅሑ ይኽእሉ።", "ti"),  # which only Amharic could be taken for
        ("zh-TW", CHINESE, "zh-Hant"),
        ("hi", "Pustakalay somvar se shukravar tak khula rahta hai, aur pathak kitaben udhar le sakte hain.", "hi"),
        ("sr-Latn", "Biblioteka je otvorena od ponedeljka do petka. Čitaoci mogu da pozajme knjige. " * 3, "sr-Latn"),
        (
            "en",
            f"The reading room is called Αναγνωστήριο. {GREEK}" + "It closes at noon. " * 12,
            "en",
        ),
        ("en", "Καλημέρα!", "en"),
    ],
)
def test_a_stated_language_stays_where_nothing_certain_speaks_against_it(tmp_path, declared, text, lang):
    (tmp_path / "a.html").write_text(page(declared, text), encoding="utf-8")
    ((document,), problems) = read(tmp_path)
    assert (document.lang, problems.shown) == (lang, [])


def test_a_word_processor_s_language_keeps_its_script(tmp_path):
    file = docx.Document()
    file.add_paragraph(CHINESE)
    file.core_properties.language = "zh-TW"
    file.save(str(tmp_path / "a.docx"))
    ((document,), _) = read(tmp_path)
    assert document.lang == "zh-Hant"


@pytest.mark.parametrize("code", ["und", "mul", "mis", "UND"])
def test_codes_that_name_no_language_state_none(tmp_path, code):
    (tmp_path / "a.html").write_text(page(code, GREEK), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": GREEK, "lang": code}), encoding="utf-8")
    documents, problems = read(tmp_path)
    assert [document.lang for document in documents] == [None, None]
    assert problems.shown == []


def test_texts_in_which_nothing_is_seen_are_none(tmp_path):
    (tmp_path / "a.txt").write_text(" \u200b\u200d\ufeff\n", encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": "\u200f \u00ad"}), encoding="utf-8")
    documents, problems = read(tmp_path)
    assert documents == []
    assert problems.count == 2
