"""The embedded corpus: complete, in the right scripts, without repetitions, and cleanly split."""

import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

from isoglot.data.near_duplicates import normalise
from isoglot.data.rows import read_rows
from isoglot.languages.table import language
from isoglot.studies.atlas_study import atlas

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
SIZES = {"train": 112, "test": 80}
UNICODE_NAMES = {"Han": "CJK"}
# Characters that a passage may have at least and at most; Chinese says the same in a third of the letters.
LENGTHS = {"query": (12, 260), "passage": (60, 800)}


@pytest.fixture(scope="module", params=SIZES)
def split(request):
    return request.param, [row for _, _, row in read_rows([atlas(request.param)])]


def both():
    return {name: [row for _, _, row in read_rows([atlas(name)])] for name in SIZES}


def test_every_group_has_every_language_once(split):
    name, rows = split
    groups = Counter(row.group for row in rows)
    assert len(groups) == SIZES[name]
    assert set(groups.values()) == {len(LANGUAGES)}
    assert len({(row.group, row.lang) for row in rows}) == len(rows)
    assert {row.lang for row in rows} == set(LANGUAGES)
    assert {row.dataset for row in rows} == {"atlas"}


def test_a_group_has_one_topic_and_a_topic_eight_groups(split):
    _, rows = split
    topic_of = {}
    for row in rows:
        assert topic_of.setdefault(row.group, row.topic) == row.topic
    assert set(Counter(topic_of.values()).values()) == {8}
    assert None not in topic_of.values()


def test_no_group_topic_or_text_is_in_both_splits():
    rows = both()
    for field in ("group", "topic"):
        train, test = ({getattr(row, field) for row in rows[name]} for name in ("train", "test"))
        assert not train & test
    for field in ("query", "passage"):
        train, test = ({normalise(getattr(row, field)) for row in rows[name]} for name in ("train", "test"))
        assert not train & test
    assert len({row.topic for name in SIZES for row in rows[name]}) == 24


def test_no_text_is_there_twice_within_a_language():
    rows = [row for part in both().values() for row in part]
    for field in ("query", "passage"):
        texts = Counter((row.lang, normalise(getattr(row, field))) for row in rows)
        assert [key for key, count in texts.items() if count > 1] == []


def test_translations_are_no_copies():
    """The same words in two languages would be a row that was never translated."""
    seen = {}
    for part in both().values():
        for row in part:
            for text in (row.query, row.passage):
                assert seen.setdefault(normalise(text), row.lang) == row.lang


def test_texts_are_in_their_languages_script(split):
    _, rows = split
    for row in rows:
        script = language(row.lang).script
        prefix = UNICODE_NAMES.get(script, script.upper())
        for text in (row.query, row.passage):
            letters = [char for char in text if char.isalpha()]
            own = sum(unicodedata.name(char, "").startswith(prefix) for char in letters)
            # Names and units may be in Latin letters.
            assert own >= 0.7 * len(letters), (row.group, row.lang, text)


def test_letters_that_only_some_languages_have():
    """A German text in the Vietnamese place would pass the script test."""
    typical = {
        "de": "äöüß",
        "es": "áéíóúñ¿",
        "tr": "ğışçöü",
        "vi": "ạảấầậắằặẹếềệịọốồộớờợụứừựđơư",
        "ru": "ыйя",
        "el": "άέήίόύώ",
        "hi": "ािी",
        "th": "ี่้",
        "ar": "اة",
    }
    for part in both().values():
        for lang, letters in typical.items():
            texts = [row.passage.casefold() for row in part if row.lang == lang]
            having = sum(any(char in text for char in letters) for text in texts)
            assert having >= 0.9 * len(texts), lang


def test_lengths_are_sane(split):
    _, rows = split
    for row in rows:
        for field, (least, most) in LENGTHS.items():
            length = len(getattr(row, field)) * (3 if row.lang == "zh" else 1)
            assert least <= length <= most, (row.group, row.lang, field, length)
        assert len(row.query) < len(row.passage)


def test_texts_are_clean(split):
    _, rows = split
    for row in rows:
        for text in (row.group, row.query, row.passage):
            assert unicodedata.is_normalized("NFC", text), (row.group, row.lang)
            assert text == " ".join(text.split()), (row.group, row.lang)
            assert not any(unicodedata.category(char) in ("Cc", "Co", "Cn", "Cs") for char in text)
            assert "\ufffd" not in text


def test_questions_are_questions_and_passages_sentences(split):
    _, rows = split
    for row in rows:
        if row.lang != "th":  # Thai writes neither question marks nor full stops
            mark = {"ar": "؟", "el": ";\u037e", "zh": "？"}.get(row.lang, "?")
            assert row.query[-1] in mark, (row.group, row.lang, row.query)
            assert row.passage[-1] in {"hi": "।", "zh": "。”"}.get(row.lang, '.”"»'), (row.group, row.lang)
        assert (row.lang == "es") == row.query.startswith("¿") or row.lang == "es"


def test_the_licence_is_shipped():
    folder = files("isoglot") / "atlas"
    assert "CC BY 4.0" in (folder / "README.md").read_text(encoding="utf-8")
    assert "Creative Commons" in (folder / "LICENSE").read_text(encoding="utf-8") or "CC BY 4.0" in (
        folder / "LICENSE"
    ).read_text(encoding="utf-8")
