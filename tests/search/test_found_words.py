"""Words that a collection must be found by, in LanceDB's index and in the exact one; both through the same form."""

import json
import unicodedata
from functools import partial

import numpy as np
import pytest

from isoglot import Searcher, load
from isoglot.cli import run
from isoglot.search.collapsing import bare_words
from isoglot.search.index import resume
from isoglot.search.index.building import build_index
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import Manifest
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from support.encoders import tiny_encoder
from support.passages import write_index


def nfd(text):
    return unicodedata.normalize("NFD", text)


# id, language, text, a query that must find it.
WORDS = [
    ("vi-nfd", "vi", nfd("Thành phố Đà Nẵng nằm ở miền Trung."), "thành"),
    ("ko-nfd", "ko", nfd("서울에는 지하철 노선이 많다."), "지하철"),
    ("ja-nfd", "ja", nfd("ガラスの博物館が開館した。"), "ガラス"),
    ("fr-nfd", "fr", nfd("Le château médiéval est ouvert."), "château"),
    ("ja-halfwidth", "ja", "ﾃﾞｰﾀﾍﾞｰｽを設定する。", "データベース"),
    ("zh-kangxi", "zh", "读者可以在⽹上续借。", "网上"),
    ("ar-presentation", "ar", "ﺗﻔﺘﺢ اﻟﻤﻜﺘﺒﺔ ﺻﺒﺎﺣﺎ", "صباحا"),
    ("de-shy", "de", "Die Donau\u00addampf\u00adschiff\u00adfahrt ist alt.", "Donaudampfschifffahrt"),
    ("tr-dotted", "tr", "İzmir güzel bir şehir.", "izmir"),
    ("ar-harakat", "ar", "قَرَأَ الطَّالِبُ الكِتَابَ", "الطالب"),
    ("he-niqqud", "he", "הַיֶּלֶד קָרָא סֵפֶר", "ספר"),
    ("el-tonos", "el", "Η Αθήνα είναι πρωτεύουσα.", "ΑΘΗΝΑ"),
    ("fa-zwnj", "fa", "کتاب\u200cها در می\u200cرسند", "کتابها"),
    ("ta-long", "ta", "இது அறிவிக்கப்பட்டது என்று கூறினார்.", "அறிவிக்கப்பட்டது"),
    ("ru-long", "ru", "Музей показывает достопримечательность города.", "достопримечательность"),
    ("ml-long", "ml", "കേരളത്തിലെ തിരുവനന്തപുരത്തുനിന്നുള്ള വാർത്തകൾ.", "തിരുവനന്തപുരത്തുനിന്നുള്ള"),
    ("en-long", "en", "Key " + "x" * 100, "x" * 100),
    ("fr-elision", "fr", "Les réserves d’hydrogène liquide.", "hydrogene"),
    ("uk-apostrophe", "uk", "П’ятниця — вихідний.", "п'ятниця"),
    ("th-am", "th", "น\u0e4d้\u0e32แข็งละลาย", "น้ำแข็ง"),
    ("hi-nfc", "hi", "स\u0921\u093cक बंद है।", "सड़क"),
    ("bn-digits", "bn", "সালটি ১৯৭১।", "1971"),
    ("code", "en", "Call open_prepared_rows first.", "prepared"),
    ("pl-stroke", "pl", "Łódź leży w Polsce.", "lodz"),
    ("zh-part", "zh-Hant", "圖書館每週一休館。", "圖書"),
    ("ja-compound", "ja", "東京都庁は新宿にある。", "都庁"),
    ("ja-loanwords", "ja", "検索サーバーを起動する。", "サーバー"),
    ("ko-ending", "ko", "부산에서는 버스가 다닌다.", "부산"),
    ("th-part", "th", "ประเทศไทยมีห้องสมุดประชาชน", "ไทย"),
    ("lo-part", "lo", "ຫໍສະໝຸດປິດວັນຈັນ", "ວັນຈັນ"),
    ("km-part", "km", "បណ្ណាល័យបិទនៅថ្ងៃច័ន្ទ", "ថ្ងៃ"),
    ("my-part", "my", "စာကြည့်တိုက်သည် တနင်္လာနေ့တွင် ပိတ်သည်။", "တနင်္လာ"),
    ("mail", "en", "Write to user@example.com.", "example"),
    ("emoji", "en", "Have fun 😀", "😀"),
    ("ar-article", "ar", "وقف العالم على الرصيف", "رصيف"),
    ("hi-anusvara", "hi", "यह सम्बन्ध पुराना था।", "संबंध"),
    ("fi-case", "fi", "Kirjastoissa on hiljaista.", "kirjasto"),
    ("tr-suffix", "tr", "Kütüphanelerimizde sessizlik var.", "kütüphane"),
]
# A query that must not find the document: another word.
OTHERS = [("hi-nfc", "सडक"), ("ru-long", "дост"), ("ar-harakat", "الطلب")]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    home = tmp_path_factory.mktemp("words")
    documents = home / "d.jsonl"
    lines = [json.dumps({"id": key, "lang": lang, "text": text}) for key, lang, text, _ in WORDS]
    documents.write_text("\n".join(lines), encoding="utf-8")
    folder = home / "index"
    folder.mkdir()
    model = tiny_encoder(home / "model", length=512, spread=0.3)
    build_index([documents], folder, load(str(model), device="cpu"), name=str(model))
    return folder


@pytest.fixture(scope="module")
def searchers(stored):
    passages = [Passage(key, key, text, lang) for key, lang, text, _ in WORDS]
    return {
        "stored": Searcher.open(stored),
        "memory": Searcher(MemoryIndex(passages, np.eye(len(passages), dtype=np.float32))),
    }


@pytest.mark.parametrize("kind", ["stored", "memory"])
def test_words_are_found(searchers, kind):
    found = {key: [hit.id for hit in searchers[kind].search(query, mode="lexical")] for key, _, _, query in WORDS}
    assert [key for key, ids in found.items() if key not in ids] == []


@pytest.mark.parametrize("kind", ["stored", "memory"])
def test_other_words_are_not(searchers, kind):
    for key, query in OTHERS:
        assert key not in [hit.id for hit in searchers[kind].search(query, mode="lexical")]


@pytest.mark.parametrize("kind", ["stored", "memory"])
def test_a_words_own_form_comes_first(tmp_path, kind):
    texts = {
        "other": "JavaScript runs planetary pages",
        "own": "Java runs the planets here",
        "form": "A planet is here",
    }
    passages = [Passage(key, key, text, "en") for key, text in texts.items()]
    vectors = np.eye(3, dtype=np.float32)
    index = MemoryIndex(passages, vectors)
    if kind == "stored":
        index = LanceIndex(write_index(tmp_path / "i", passages, vectors))
    planets = [found.passage.id for found in index.matching("planets", 3)]
    assert planets[0] == "own"
    assert set(planets) == {"other", "own", "form"}
    assert [found.passage.id for found in index.matching("java", 3)] == ["own"]


def test_an_older_index_keeps_its_terms(tmp_path, monkeypatch):
    """Otherwise the passages of an update would be found by more terms than the others, and rank before them."""

    def embed(texts, role):
        return [[1.0, len(text)] for text in texts]

    folder = tmp_path / "i"
    with monkeypatch.context() as before:
        before.setattr(resume, "Manifest", partial(Manifest, beginnings=False, signs=False))
        build_index([{"id": "old", "text": "All the planets", "lang": "en"}], folder, embed)
    record = json.loads((folder / "isoglot-index.json").read_text(encoding="utf-8"))
    assert record["isoglot_index"] == 5
    assert not {"beginnings", "signs"} & record.keys()
    build_index([{"id": "new", "text": "Some planets", "lang": "en"}], folder, embed, update=True)
    assert json.loads((folder / "isoglot-index.json").read_text(encoding="utf-8"))["isoglot_index"] == 5
    index = LanceIndex(folder)
    assert {found.passage.id for found in index.matching("planets", 2)} == {"old", "new"}
    assert index.matching("planetary", 2) == []
    build_index([{"id": "old", "text": "All the planets", "lang": "en"}], folder, embed, overwrite=True)
    assert [found.passage.id for found in LanceIndex(folder).matching("planetary", 2)] == ["old"]
    assert json.loads((folder / "isoglot-index.json").read_text(encoding="utf-8"))["isoglot_index"] == 10


def test_an_index_without_compounds_stays_so(tmp_path, monkeypatch):
    """Queries for it are taken apart as its texts were: C++ is found as C, as long as it is not made again."""

    def embed(texts, role):
        return [[1.0, len(text)] for text in texts]

    def found(query):
        return {found.passage.id for found in LanceIndex(folder).matching(query, 9)}

    def format_of():
        return json.loads((folder / "isoglot-index.json").read_text(encoding="utf-8"))["isoglot_index"]

    folder = tmp_path / "i"
    old, new = ({"id": key, "text": f"{key}: C++ by E-Mail", "lang": "en"} for key in ("old", "new"))
    with monkeypatch.context() as before:
        before.setattr(resume, "Manifest", partial(Manifest, signs=False))
        build_index([old], folder, embed)
    build_index([new], folder, embed, update=True)
    assert (format_of(), found("C++"), found("C"), found("email")) == (9, {"old", "new"}, {"old", "new"}, set())
    build_index([old, new], folder, embed, overwrite=True)
    assert (format_of(), found("C++"), found("C"), found("email")) == (10, {"old", "new"}, set(), {"old", "new"})


# A query, the text that has it, and texts with the same letters and digits, which must not be as good.
SIGNS = [
    ("C++ coroutine", "A coroutine in C++ waits.", ["A coroutine in C# waits.", "A coroutine in C waits."]),
    ("C# coroutine", "A coroutine in C# waits.", ["A coroutine in C++ waits.", "A coroutine in C waits."]),
    ("C#", "使用C#开发软件", ["使用C++开发软件", "使用C开发软件"]),
    ("C++ 개발", "C++로 개발", ["C#으로 개발", "C로 개발"]),
    ("C pointer", "A pointer in C is raw.", ["A pointer in C++ is raw.", "A pointer in C# is raw."]),
    ("F# types", "Types of F♯ are short.", ["Types of F are short.", "Types of C# are short."]),
    ("C++20 modules", "Modules of C++20 are here.", ["Modules of C++17 are here.", "Modules of C# 20 are here."]),
    (".NET release", "A release of .NET came.", ["A release of a net came."]),
    ("Notepad++", "Open Notepad++ now.", ["Open notepad now."]),
    ("Python 3.11", "Python 3.11 is fast.", ["Python 11.3 is fast.", "Python 3 has 11 parts."]),
    ("v2.0.1", "Mended in v2.0.1 today.", ["Mended in v2.1.0 today.", "Mended in 1.0.v2 today."]),
    ("10.0.1.2", "The host 10.0.1.2 is up.", ["The host 10.1.0.2 is up.", "The host 10.2.0.1 is up."]),
    ("ISO 27001:2013", "ISO 27001:2013 applies.", ["ISO 2013:27001 applies."]),
    ("Art. 5(1)(f)", "See Art. 5(1)(f) there.", ["See Art. 1(5)(f) there.", "See Art. 5(f)(1) there."]),
    ("AB-123/45", "Part AB-123/45 is here.", ["Part AB-45/123 is here.", "Part AB-123/46 is 45 here."]),
    ("05.06.2024", "On 05/06/2024 it was.", ["On 06/05/2024 it was."]),
    ("12500", "It costs 12,500 now.", ["It costs 12,600 now.", "It costs 500 now."]),
    ("12.500", "Cela coûte 12\u202f500 euros.", ["Cela coûte 500\u202f12 euros."]),
    ("12500", "Es kostet 12’500 Franken.", ["Es kostet 12’600 Franken."]),
    ("1250000", "ये १२,५०,००० हैं।", ["ये १२,६०,००० हैं।"]),
    ("12500", "السعر ١٢٬٥٠٠ دينار", ["السعر ١٢٬٦٠٠ دينار"]),
    ("1234,56", "Es kostet 1.234,56 nun.", ["Es kostet 1.235,56 nun."]),
    ("9783161484100", "ISBN 978-3-16-148410-0 ist da.", ["ISBN 978-3-16-148410-1 ist da."]),
    ("Email", "Schreib eine E-Mail heute.", ["Schreib einen Brief heute."]),
    ("E-Mail", "Schreib eine Email heute.", ["Schreib einen Brief heute."]),
    ("WiFi", "The Wi\u2011Fi works.", ["The radio works."]),
    ("AT&T history", "The history of AT&T is long.", ["The history of T at T is long."]),
    ("R&D", "The R&D budget grew.", ["The D&R budget grew."]),
    ("USA", "The U.S.A. team came.", ["The team came."]),
    ("nodejs", "Streams of Node.js are old.", ["Streams of a node are old."]),
    ("Ca(OH)2", "Lime is Ca(OH)₂ here.", ["Lime is OH(Ca)₂ here."]),
]


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    passages = [
        Passage(f"{row}-{place}", f"{row}-{place}", text, "en")
        for row, (_, own, others) in enumerate(SIGNS)
        for place, text in enumerate([own, *others])
    ]
    vectors = np.eye(len(passages), dtype=np.float32)
    folder = write_index(tmp_path_factory.mktemp("signs") / "i", passages, vectors)
    return {"stored": LanceIndex(folder), "memory": MemoryIndex(passages, vectors)}


@pytest.mark.parametrize("kind", ["stored", "memory"])
def test_words_with_signs_come_before_others(alike, kind):
    wrong = []
    for row, (query, _, others) in enumerate(SIGNS):
        scores = {found.passage.id: found.score for found in alike[kind].matching(query, 200)}
        best = max(scores.get(f"{row}-{place + 1}", 0.0) for place in range(len(others)))
        if not scores.get(f"{row}-0", 0.0) > best:
            wrong.append((query, scores.get(f"{row}-0"), best))
    assert wrong == []


def test_texts_that_differ_in_such_signs_are_not_collapsed():
    assert bare_words("Written in C++.") != bare_words("Written in C#.")
    assert bare_words("Written in C++.") == bare_words("written in «c++»")


def test_texts_are_shown_as_they_were(searchers):
    texts = {key: text for key, _, text, _ in WORDS}
    for key, _, _, query in WORDS:
        hits = {hit.id: hit.text for hit in searchers["stored"].search(query, mode="lexical")}
        assert hits[key] == texts[key]


def test_flags_take_codes_in_any_spelling(stored, capsys):
    assert run(["search", str(stored), "网上", "--mode", "lexical", "--langs", "zh_Hans,DEU", "--json"]) == 0
    assert [hit["id"] for hit in json.loads(capsys.readouterr().out)] == ["zh-kangxi"]
    assert run(["search", str(stored), "网上", "--mode", "lexical", "--langs", "sr-Latn"]) == 2


def test_words_in_title_and_text_count_together(tmp_path):
    """BM25 is over both, and the same as in memory: a page's title alone does not make all its passages equal."""
    titled = [
        ("remove", "Filter", "How to remove one from a table."),
        ("make", "Filter", "How to make one for a table."),
        ("rows", "Rows", "How to remove rows and columns, and remove them for good."),
        ("text", "Tables", "A filter hides rows."),
        ("none", "Charts", "A bar for each of the values."),
    ]
    documents = tmp_path / "d.jsonl"
    lines = [json.dumps({"id": key, "lang": "en", "title": title, "text": text}) for key, title, text in titled]
    documents.write_text("\n".join(lines), encoding="utf-8")
    model = tiny_encoder(tmp_path / "model", length=512, spread=0.3)
    build_index([documents], tmp_path / "index", load(str(model), device="cpu"), name=str(model))
    passages = [Passage(key, key, text, "en", title=title) for key, title, text in titled]
    stored = Searcher.open(tmp_path / "index")
    memory = Searcher(MemoryIndex(passages, np.eye(len(passages), dtype=np.float32)))
    for query, best in (
        ("remove filter", "remove"),
        ("filter make", "make"),
        ("filter", None),
        ("filter rows filter filtered", None),
    ):
        there, here = ({hit.id: hit.score for hit in one.search(query, mode="lexical")} for one in (stored, memory))
        assert there == pytest.approx(here, rel=0.02)
        assert best in (None, next(iter(there)))
