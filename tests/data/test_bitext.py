import gzip
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.data.readers.bitext import seen
from isoglot.data.readers.bitext.files import read_units
from isoglot.data.readers.bitext.rows import bitext_rows
from isoglot.data.readers.bitext.units import Notes, Unit, Wanted

# Made by gettext (msginit, checked by msgfmt) and by translate-toolkit (po2tmx, po2xliff, its XLIFF 2 classes).
MADE = Path(__file__).parent / "bitext"
TICO = Path(__file__).parents[3] / "shared" / "data" / "tico-19"
GATE = {"en": "The gate opens at dawn.", "de": "Das Tor öffnet bei Sonnenaufgang."}


def units(*names, **wanted):
    notes = Notes()
    found = [unit.texts for unit in read_units([str(name) for name in names], Wanted(**wanted), notes)]
    return found, notes


def text_units(tmp_path, name, text, **wanted):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return units(path, **wanted)


def test_a_catalogue_of_gettext():
    found, notes = units(MADE / "harbour.de.po")
    assert found == [
        GATE,
        {"en": "Close the %s gate", "de": "Das Tor %s schließen"},
        {"en": "%d barge", "de": "%d Kahn"},
        {"en": "OK", "de": "OK"},
    ]
    assert notes.left_out == {
        "segments without a translation": 1,
        "segments that are fuzzy or need translation": 1,
        "obsolete messages": 1,
    }
    assert {"en": "The keeper sleeps.", "de": "Der Wärter schläft nie."} in units(
        MADE / "harbour.de.po", unfinished=True
    )[0]


def test_a_locale_of_a_catalogue_keeps_its_script(tmp_path):
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\nLanguage: sr@latin\\n"\n\n'
    path = tmp_path / "a.po"
    path.write_text(f'{head}msgid "boat"\nmsgstr "čamac"\n', encoding="utf-8")
    notes = Notes()
    rows = list(bitext_rows(read_units([str(path)], Wanted(), notes), notes))
    assert {row.lang: row.passage for row in rows} == {"en": "boat", "sr-Latn": "čamac"}


def test_a_memory_of_translate_toolkit():
    found, notes = units(MADE / "harbour.tmx")
    assert found[0] == GATE
    assert len(found) == 5
    assert not notes.problems.count


def test_xliff_1_of_translate_toolkit():
    found, notes = units(MADE / "harbour.xlf")
    assert [tuple(unit.values()) for unit in found][:2] == [
        tuple(GATE.values()),
        ("Close the %s gate", "Das Tor %s schließen"),
    ]
    assert len(found) == 6
    assert notes.left_out["segments that are fuzzy or need translation"] == 2  # the header and one message
    assert notes.left_out["segments without a translation"] == 1


def test_xliff_2_of_translate_toolkit():
    found, notes = units(MADE / "harbour-2.0.xlf")
    assert found == [
        {"en": GATE["en"], "fr": "La porte ouvre à l'aube."},
        {"en": "The keeper sleeps.", "fr": "Le gardien dort."},
    ]
    assert notes.left_out == {"segments without a translation": 1}


def test_markup_in_segments_is_no_text(tmp_path):
    tmx = (
        '<tmx version="1.4"><body><tu><tuv xml:lang="en"><seg>Click <bpt i="1">&lt;b&gt;</bpt>here<ept i="1">&lt;/b&gt;'
        '</ept><ph x="1">{0}<sub>tooltip</sub></ph>, <hi>now</hi>.</seg></tuv>'
        '<tuv lang="de"><seg>Hier klicken.</seg></tuv></tu></body></tmx>'
    )
    assert text_units(tmp_path, "a.tmx", tmx)[0] == [{"en": "Click here, now.", "de": "Hier klicken."}]
    xliff = (
        '<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file source-language="en" '
        'target-language="de"><body><trans-unit id="1"><source>A <g id="1">bold</g> word<x id="2"/></source>'
        '<target>Ein <g id="1">fettes</g> Wort<x id="2"/></target><alt-trans><source>no</source><target>nein</target>'
        '</alt-trans></trans-unit><trans-unit id="2" translate="no"><source>X</source><target>X</target></trans-unit>'
        "</body></file></xliff>"
    )
    found, notes = text_units(tmp_path, "a.xliff", xliff)
    assert found == [{"en": "A bold word", "de": "Ein fettes Wort"}]
    assert notes.left_out == {"segments that are not to be translated": 1}


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><tmx><body><tu>'
    '<tuv xml:lang="en"><seg>&b;</seg></tuv></tu></body></tmx>'
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY f SYSTEM "file:///etc/hostname">]><tmx><body><tu>'
    '<tuv xml:lang="en"><seg>&f;</seg></tuv></tu></body></tmx>'
)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.tmx", BOMB, "declares entities"),
        ("a.tmx", OUTSIDE, "declares entities"),
        ("a.tmx", "<tmx><body><tu><tuv xml:lang='en'><seg>a</seg>", "broken or truncated XML"),
        ("a.tmx", "", "broken or truncated XML"),
        ("a.tmx", "<html><body/></html>", "no translation units"),
        ("a.tmx", "<tmx><body><tu><tuv><seg>a</seg></tuv></tu></body></tmx>", "without xml:lang"),
        ("a.tmx", "<tu>" * 5000, "broken or truncated XML"),
        ("a.xlf", "<xliff><file source-language='en'><body><trans-unit><source>a</source></trans-unit>"
                  "</body></file></xliff>", "no target language"),
        ("a.xlf", "<xliff version='2.0'/>", "no units"),
        ("a.xlf", "<xliff><file source-language='en' target-language='xx'><body><trans-unit><source>a</source><target>b"
                  "</target></trans-unit></body></file></xliff>", "a.xlf: 'xx' is not a language code"),
        ("a.tmx", "<tmx><body><tu><tuv xml:lang='xx'><seg>a</seg></tuv></tu></body></tmx>", "'xx' is not a language"),
        ("a.po", 'msgid "a"\nmsgstr "b"\n', "header names no language"),
        ("de.po", 'msgid "gate\nmsgstr "Tor"\n', "de.po:1: not a line of a PO file"),
        ("de.po", 'msgid "gate"\n\nmsgstr "To', "de.po:3: not a line of a PO file"),
        ("a.po", 'msgid "a\nmsgstr', "a.po:1: not a line of a PO file"),
        ("a.po", b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\nmsgid "a"\nmsgstr "\xff"\n', "charset"),
        ("a.tsv", "en\tde\na\n", "a.tsv:2: 1 columns; expected 2 (en, de)"),
        ("a.tsv", b"en\tde\na\t\xff\n", "not UTF-8"),
        ("a.tsv", "Hello world\tHallo Welt\nOne\tEins\n", "a.tsv:1: 'Hello world' is not a language code"),
        ("a.tmx.gz", b"\x1f\x8b not gzip", "broken or truncated compressed file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, name, text, said):
    found, notes = text_units(tmp_path, name, text)
    assert found == []
    assert said in notes.problems.shown[0]
    assert str(tmp_path / name) in notes.problems.shown[0]


def test_lines_that_match(tmp_path):
    for lang, text in (("en", "One.\nTwo.\n"), ("de", "Eins.\nZwei.\n")):
        (tmp_path / f"x.{lang}").write_text(text, encoding="utf-8")
    (tmp_path / "short.de").write_text("Eins.\n", encoding="utf-8")
    expected = [{"en": "One.", "de": "Eins."}, {"en": "Two.", "de": "Zwei."}]
    strip = lambda found: [{lang: text.strip() for lang, text in unit.items()} for unit in found]  # noqa: E731
    en, de = tmp_path / "x.en", tmp_path / "x.de"
    for found, notes in (units(f"en={en}", f"de={de}"), units(en, de), units(en, de, langs=("en", "de"))):
        assert strip(found) == expected
        assert not notes.problems.count
    _, notes = units(f"en={en}", f"de={tmp_path / 'short.de'}")
    assert "short.de:1: ends here, but" in notes.problems.shown[0]
    with pytest.raises(InputError, match="only one language"):
        units(f"en={en}")


def test_tab_separated_columns(tmp_path):
    assert text_units(tmp_path, "a.tsv", "en\tde\nOne\tEins\n")[0] == [{"en": "One", "de": "Eins"}]
    assert text_units(tmp_path, "b.tsv", "One\tEins\n", langs=("en", "de"))[0] == [{"en": "One", "de": "Eins"}]


def test_a_line_of_names_is_no_text_where_the_languages_are_given_too(tmp_path):
    assert text_units(tmp_path, "a.tsv", "EN\tde_DE\nOne\tEins\n", langs=("en", "de"))[0] == [
        {"en": "One", "de": "Eins"}
    ]


def test_a_file_without_a_target_is_not_in_the_language_of_the_one_before(tmp_path):
    unit = "<body><trans-unit id='1'><source>One</source><target>Eins</target></trans-unit></body>"
    text = (
        f"<xliff version='1.2'><file source-language='en' target-language='de'>{unit}</file>"
        f"<file source-language='en'>{unit}</file></xliff>"
    )
    found, notes = text_units(tmp_path, "a.xlf", text)
    assert found == [{"en": "One", "de": "Eins"}]
    assert "no target language" in notes.problems.shown[0]


@pytest.mark.parametrize(
    ("name", "lang"),
    [
        ("de/LC_MESSAGES/web.po", "de"),
        ("pt_BR/LC_MESSAGES/new.po", "pt_BR"),
        ("locale/app.zh_TW.po", "zh_TW"),
        ("web.po", ""),  # a code of some language, and no language that anybody is likely to mean
    ],
)
def test_the_language_that_a_catalogues_name_says(tmp_path, name, lang):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('msgid "boat"\nmsgstr "Kahn"\n', encoding="utf-8")
    found, notes = units(path)
    assert found == ([{"en": "boat", lang: "Kahn"}] if lang else [])
    assert notes.problems.count == (not lang)


def test_an_argument_without_a_language_among_those_with_one(tmp_path):
    for name in ("x.en", "x.de"):
        (tmp_path / name).write_text("One.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.de: no language given; .* as LANG=FILE"):
        units(f"en={tmp_path / 'x.en'}", tmp_path / "x.de")
    with pytest.raises(InputError, match=r"'jp' is not a language code"):
        units(f"en={tmp_path / 'x.en'}", f"jp={tmp_path / 'x.de'}")


def test_inside_of_zip_and_gzip(tmp_path):
    memory = (MADE / "harbour.tmx").read_bytes()
    (tmp_path / "m.tmx.gz").write_bytes(gzip.compress(memory))
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README", "about")
        archive.writestr("sub/m.tmx", memory)
        archive.writestr("__MACOSX/sub/._m.tmx", b"\x00\x05\x16\x07")
    with zipfile.ZipFile(tmp_path / "moses.zip", "w") as archive:
        archive.writestr("README", "about")
        archive.writestr("x.de-en.de", "Eins.\n")
        archive.writestr("x.de-en.en", "One.\n")
    for name in ("m.tmx.gz", "m.zip"):
        assert units(tmp_path / name)[0] == units(MADE / "harbour.tmx")[0]
    assert units(tmp_path / "moses.zip")[0] == [{"de": "Eins.\n", "en": "One.\n"}]
    (tmp_path / "cut.zip").write_bytes((tmp_path / "m.zip").read_bytes()[:60])
    (tmp_path / "cut.tmx.gz").write_bytes((tmp_path / "m.tmx.gz").read_bytes()[:-40])
    with pytest.raises(InputError, match="broken or truncated zip"):
        units(tmp_path / "cut.zip")
    assert "compressed" in units(tmp_path / "cut.tmx.gz")[1].problems.shown[0]


@pytest.mark.parametrize("names", [[], ["none.tmx"], ["."], [str(MADE / "harbour.tmx") + "x"]])
def test_files_that_are_none(names):
    with pytest.raises(InputError, match=r"expected|no such file|a folder"):
        units(*names)


def test_rows_join_memories_by_the_pivots_text():
    notes = Notes()
    found = list(
        bitext_rows(
            [
                Unit({"en": "Hello  there", "de": "Hallo"}, "a", 1),
                Unit({"en": "Hello there", "fr": "Bonjour"}, "b", 1),
                Unit({"en": "Hello there", "de": "Hallo du"}, "b", 2),
                Unit({"en": "OK", "de": "OK"}, "b", 3),
                Unit({"en": "…", "de": "Punkte"}, "b", 4),
                Unit({"pl": "Cześć", "cs": "Ahoj"}, "c", 1),
            ],
            notes,
        )
    )
    groups = {}
    for row in found:
        assert row.query == row.passage
        groups.setdefault(row.group, {})[row.lang] = row.passage
    assert list(groups.values()) == [
        {"en": "Hello there", "de": "Hallo", "fr": "Bonjour"},
        {"pl": "Cześć", "cs": "Ahoj"},
    ]
    assert notes.left_out == {
        "segments whose text repeats an earlier one": 1,
        "translations that repeat the source": 1,
        "segments without words": 1,
    }


def test_every_text_that_gives_no_row_is_counted():
    notes = Notes()
    found = [
        Unit({"en": "Hello", "de": "Hallo"}, "a", 1),
        Unit({"en": "Hello", "de": "Guten Tag", "fr": "Bonjour"}, "a", 2),
        Unit({"en": "Alone"}, "a", 3),
    ]
    assert [row.lang for row in bitext_rows(found, notes)] == ["en", "de", "fr"]
    assert notes.left_out == {"further translations of one text": 1, "segments without a translation": 1}
    notes = Notes()
    assert [row.lang for row in bitext_rows(found, notes, langs=("de", "fr"))] == ["de", "fr"]
    assert notes.left_out == {"segments in fewer than two of the languages to keep": 2}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 40)))
def test_seen_is_a_set(numbers):
    before = seen._MERGED
    seen._MERGED = 7
    try:
        own, plain = seen.Seen(), set()
        for number in numbers:
            assert own.add(str(number)) == (number not in plain)
            plain.add(number)
        assert len(own) == len(plain)
    finally:
        seen._MERGED = before


def test_the_command(tmp_path, capsys):
    target = tmp_path / "rows.jsonl"
    argv = ["data", "from-bitext", str(MADE / "harbour.tmx"), str(MADE / "harbour-2.0.xlf"), "-o", str(target)]
    assert run(argv) == 0
    out = capsys.readouterr().out
    rows = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert Counter(row["lang"] for row in rows) == {"en": 5, "de": 4, "fr": 2}
    assert out.startswith("11 rows in ")
    assert "left out: 1 translations that repeat the source" in out
    (tmp_path / "bomb.tmx").write_text(BOMB, encoding="utf-8")
    assert run(["data", "from-bitext", str(tmp_path / "bomb.tmx"), "-o", str(tmp_path / "x.jsonl")]) == 2
    assert not (tmp_path / "x.jsonl").exists()


@pytest.mark.skipif(not TICO.is_dir(), reason="the memories of TICO-19 are not here")
def test_real_memories_join():
    notes = Notes()
    names = [str(TICO / f"all.en-{lang}.tmx.zip") for lang in ("sw", "zh")]
    rows = list(bitext_rows(read_units(names, Wanted(), notes), notes))
    groups = Counter(row.group for row in rows)
    assert Counter(groups.values())[3] > 3000
    assert not notes.problems.count
    assert np.mean([len(row.query) for row in rows]) > 40


def test_a_file_that_cannot_be_read_is_no_output_that_cannot_be_written(tmp_path, capsys, lock):
    path = tmp_path / "locked.tsv"
    path.write_text("a\tb\n")
    lock(path)
    assert run(["data", "from-bitext", str(path), "--langs", "de,en", "-o", str(tmp_path / "rows.jsonl")]) == 2
    assert capsys.readouterr().err == f"isoglot: {path}: cannot be read (Permission denied)\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["locked.tsv"]
