"""The page in its readers' languages: nothing untranslated, numbers as they are written there, and who gets which."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("babel")

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from fastapi.testclient import TestClient

import isoglot.serve
from isoglot import register_language
from isoglot.serve.app import create_app
from isoglot.serve.locales import CODES, negotiated, page_locale
from support.serving import searcher

FOLDER = Path(next(iter(isoglot.serve.__path__)))
TRANSLATED = [code for code in CODES if code != "en"]
PLACE = re.compile(r"%\(\w+\)s")


def messages() -> set[str | tuple[str, ...]]:
    """All that the page says, out of its code and templates."""
    found = extract_from_dir(
        FOLDER,
        method_map=[("**.html", "jinja2.ext:babel_extract"), ("**.py", "python")],
        options_map={"**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}},
        keywords={"_": None, "translatable": None, "counted": (1, 2)},
    )
    return {message for _, _, message, _, _ in found}


def catalogue(code: str) -> Catalog:
    with (files("isoglot.serve") / "locale" / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code, abort_invalid=True)


def test_the_codes_are_those_of_the_embedded_corpus_and_of_the_catalogues() -> None:
    assert sorted(CODES) == ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
    assert sorted(path.stem for path in (FOLDER / "locale").iterdir()) == sorted(TRANSLATED)


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_message_is_translated_with_its_places_and_forms(code: str) -> None:
    wanted, entries = messages(), {entry.id: entry for entry in catalogue(code) if entry.id}
    assert len(wanted) > 60
    assert set(entries) == wanted, "run over locale/*.po: they lack messages, or hold some that are gone"
    for said, entry in entries.items():
        forms = entry.string if isinstance(entry.string, tuple) else (entry.string,)
        assert all(form.strip() for form in forms), said
        assert not entry.fuzzy
        if isinstance(said, tuple):
            # A form for one number alone (Arabic has three of them) need not repeat it.
            assert len(forms) == catalogue(code).num_plurals
            assert all(set(PLACE.findall(form)) <= set(PLACE.findall(said[1])) for form in forms)
            assert set(PLACE.findall(forms[-1])) == set(PLACE.findall(said[1]))
        else:
            assert sorted(PLACE.findall(forms[0])) == sorted(PLACE.findall(said)), said


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("", "en"),
        ("*", "en"),
        ("de", "de"),
        ("fr-CA, fr;q=0.9", "en"),
        ("fr, tr;q=0.3, EL-gr;q=0.8", "el"),
        ("de;q=0, es;q=0.1", "es"),
        ("zh-Hant-TW,en;q=0.5", "zh"),
        ("de;q=2, ru;q=0.2", "ru"),
        ("de;q=x,;;;,=,q=1", "en"),
        ("en;q=0.4, vi;q=0.4", "en"),
        ("hi" + "," * 5000, "hi"),
    ],
)
def test_a_browser_is_answered_in_what_it_likes_best(accepted: str, code: str) -> None:
    assert negotiated(accepted) == code


def test_numbers_as_they_are_written_there() -> None:
    assert [page_locale(code).number(12345.5) for code in ("en", "de", "hi")] == ["12,345.5", "12.345,5", "12,345.5"]
    assert page_locale("hi").number(1234567) == "12,34,567"
    assert [page_locale(code).percent(0.256, 1) for code in ("en", "tr", "de")] == ["25.6%", "%25,6", "25,6\xa0%"]
    assert page_locale("ru").percent(0.5) == "50\xa0%"
    assert [page_locale(code).date("2026-11-28T10:00") for code in ("en", "de", "zh")] == [
        "November 28, 2026",
        "28. November 2026",
        "2026年11月28日",
    ]
    assert page_locale("de").date("2026-99-99") == "2026-99-99"
    assert page_locale("es").seconds(0.018).split() == ["0,02", "s"]


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "لا لغات"), (1, "لغة واحدة"), (2, "لغتان"), (5, "5 لغات"), (11, "11 لغة"), (100, "100 لغة")],
)
def test_arabic_has_six_forms(number: int, said: str) -> None:
    assert page_locale("ar").counted("%(count)s language", "%(count)s languages", number) == said


def test_russian_forms_follow_the_last_digits() -> None:
    counted = page_locale("ru").counted
    said = [counted("%(count)s language", "%(count)s languages", number) for number in (1, 3, 11, 21, 25)]
    assert said == ["1 язык", "3 языка", "11 языков", "21 язык", "25 языков"]


def test_languages_have_their_names_in_the_readers_language() -> None:
    german = page_locale("de").language_name
    assert [german(code) for code in ("th", "zh-Hant", "sr-Latn", "und")] == [
        "Thailändisch",
        "Chinesisch (traditionell)",
        "Serbisch (Lateinisch)",
        "Unbekannte Sprache",
    ]
    assert page_locale("en").language_name("zh-Hant") == "Chinese (Traditional)"
    register_language("qya", name="Quenya")
    assert page_locale("ar").language_name("qya") == "Quenya"


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app({"one": searcher(2)}), base_url="http://127.0.0.1")


def test_the_address_goes_before_the_browser_and_both_are_said(client: TestClient) -> None:
    answer = client.get("/?q=solar", headers={"Accept-Language": "ar"})
    assert '<html lang="ar" dir="rtl">' in answer.text
    assert answer.headers["Content-Language"] == "ar"
    assert "Accept-Language" in answer.headers["Vary"]
    assert "ابحث بأي لغة" in answer.text
    answer = client.get("/?q=solar&ui=de", headers={"Accept-Language": "ar"})
    assert '<html lang="de" dir="ltr">' in answer.text
    # The form and every link keep what the address says.
    assert '<input type="hidden" name="ui" value="de">' in answer.text
    assert re.search(r'href="\./export\.csv\?[^"]*ui=de', answer.text)
    assert re.search(r'href="\./\?q=solar&amp;[^"]*ui=th" lang="th"', answer.text)


def test_errors_are_said_in_the_readers_language_and_escaped(client: TestClient) -> None:
    answer = client.get("/?view=%3Cb%3E&ui=de")
    assert answer.status_code == 422
    assert "&#39;&lt;b&gt;&#39; ist kein Wert für view in der Adresse; möglich sind: one, two." in answer.text
    assert "Das lässt sich nicht beantworten" in answer.text
    assert "<b>" not in answer.text
    assert "Eine solche Seite gibt es hier nicht." in client.get("/nope", headers={"Accept-Language": "de"}).text
    unknown = client.get("/?ui=xx", headers={"Accept-Language": "es"})
    assert unknown.status_code == 422
    assert '<html lang="es"' in unknown.text


def test_what_no_catalogue_knows_is_marked_as_english(client: TestClient) -> None:
    answer = client.post("/?ui=ar", headers={"Accept": "text/html"})  # the framework's own words
    assert answer.status_code == 405
    assert '<p lang="en" dir="ltr">Method Not Allowed</p>' in answer.text


def test_programs_are_answered_in_english(client: TestClient) -> None:
    detail = client.get("/search?q=x&k=0", headers={"Accept-Language": "de"}).json()["detail"]
    assert detail.startswith("k: Input should be")
