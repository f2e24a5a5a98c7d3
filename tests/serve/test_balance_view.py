"""The sentence about fairness says what was found with the switch and without it."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("py3langid")

from fastapi.testclient import TestClient

from isoglot.search.hit import Hit
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.balance_view import Balance, balance
from support.serving import encode, translated

QUERY = "Wie entsteht die Flut am Meer und warum steigt das Wasser?"


def hits(langs: str) -> list[Hit]:
    return [Hit(f"{lang}{place}", "text", "", lang, 1.0) for place, lang in enumerate(langs.split())]


def test_counts_languages_other_than_the_querys() -> None:
    found = balance(QUERY, hits("de ar zh de"), hits("de de de ar"))
    assert found == Balance("de", 4, foreign=2, foreign_without=1, languages=3, languages_without=2, same=False)


def test_the_same_list_is_said_to_be_the_same() -> None:
    assert balance(QUERY, hits("de ar"), hits("de ar")).same
    assert not balance(QUERY, hits("de ar"), hits("ar de")).same


def test_a_query_that_may_be_in_any_language_has_none() -> None:
    assert balance("2024", hits("de ar"), hits("de de")).lang == "und"


def test_the_page_says_what_both_searches_of_the_api_find() -> None:
    # German passages all share the query's words and others one each: the model ranks German first.
    passages = [
        Passage(f"{lang}{number}", f"{lang}{number}", f"{words} {number}", lang)
        for lang, words in (("de", "Wie entsteht die Flut am Meer"), ("fr", "Meer"), ("tr", "Meer"), ("el", "Meer"))
        for number in range(10)
    ]
    searcher = Searcher(
        MemoryIndex(passages, encode([passage.text for passage in passages])), lambda texts, role: encode(texts)
    )
    client = TestClient(create_app({"one": searcher}), base_url="http://127.0.0.1")

    def foreign(fair: str) -> int:
        found = client.get("/search", params={"q": QUERY, "fair": fair, "k": 10}).json()["hits"]
        return sum(hit["lang"] != "de" for hit in found)

    text = client.get("/", params={"q": QUERY, "mode": "dense", "fair": "balanced", "view": "one"}).text
    said = re.search(r'class="balanced">([^<]*)<', text)
    assert said is not None
    assert said[1] == (
        f"Every language alike: {foreign('balanced')} of 10 results are in other languages than the query’s (German); "
        f"without it, {foreign('none')}."
    )
    assert foreign("balanced") > foreign("none") == 0
    assert 'class="balanced"' not in client.get("/", params={"q": QUERY, "mode": "dense", "view": "one"}).text


def test_the_other_switch_stays_as_it_is_in_the_comparison() -> None:
    client = TestClient(create_app({"one": translated()}), base_url="http://127.0.0.1")

    def langs(**switches: str) -> list[str]:
        found = client.get("/search", params={"q": QUERY, "k": 4, **switches}).json()["hits"]
        return [hit["lang"] for hit in found]

    both = langs(fair="balanced", feedback="true")
    assert both == langs(feedback="true") == ["de", "el", "tr", "fr"]
    assert langs() == ["de"] * 4
    address = {"q": QUERY, "mode": "dense", "view": "one", "k": 4, "fair": "balanced", "feedback": "on"}
    text = client.get("/", params=address).text
    assert 'class="balanced">Every language alike: the same results as without it.<' in text
