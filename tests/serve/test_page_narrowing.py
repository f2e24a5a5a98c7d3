"""Filters, counts, further pages and a passage's surroundings on the search page."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from isoglot.search.index.memory import MemoryIndex
from isoglot.search.index.protocol import Found
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.facet_views import narrowed
from isoglot.serve.finder import Finder
from isoglot.serve.metrics import Metrics
from isoglot.serve.pages import Pages
from isoglot.serve.rerankers import ServedRerankers
from isoglot.serve.served import open_collections
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import Workers
from support.serving import encode

COUNT = 30
LONG = "x " * 300 + "solar panels " + "y " * 300


@pytest.fixture(scope="module")
def client() -> TestClient:
    passages = [
        Passage(
            f"d{n // 3}#{n % 3}",
            f"d{n // 3}",
            LONG if n == 0 else f"solar number{n} " + "word " * n,
            "en",
            f"Title {n // 3}",
            "",
            {"kind": "it's" if n % 2 else "b", "my year": 2000 + n % 3, "all": n, "same": 1},
        )
        for n in range(COUNT)
    ]
    index = MemoryIndex(passages, encode([passage.text for passage in passages]))
    return TestClient(
        create_app({"one": Searcher(index, lambda texts, role: encode(texts))}), base_url="http://127.0.0.1"
    )


def ids(text: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r"at=([^\"&]*)", text)]


def link(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return html.unescape(found[1]).removeprefix(".")


def test_pages_together_are_the_list_of_the_api(client: TestClient) -> None:
    wanted = [hit["id"].replace("#", "%23") for hit in client.get("/search?q=solar&k=30").json()["hits"]]
    text, seen = client.get("/?q=solar&view=one&mode=dense&k=10").text, []
    assert 'rel="prev"' not in text
    for page in range(3):
        seen += ids(text)
        if page < 2:
            text = client.get(link(text, r'rel="next" href="([^"]*)"')).text
    assert seen == wanted
    assert "results 21 to 30" in text
    assert '<span class="rank">21</span>' in text
    before = client.get(link(text, r'rel="prev" href="([^"]*)"')).text
    assert ids(before) == wanted[10:20]
    after = client.get("/?q=solar&view=one&mode=dense&k=10&offset=30").text
    assert "Nothing found." in after
    assert 'rel="next"' not in after


def test_counts_lead_to_the_passages_they_count(client: TestClient) -> None:
    text = client.get("/?q=solar&view=one&mode=dense&k=50").text
    counted = re.findall(r"<summary><bdi>([^<]*)</bdi></summary>\n<ul>(.*?)</ul>", text, re.DOTALL)
    # Neither a field that is the same everywhere, nor languages, which the bar shows; `all` has 30 values.
    assert [name for name, _ in counted] == ["all", "kind", "my year"]
    values = dict(re.findall(r"<bdi>([^<]*)</bdi></a> (\d+)", dict(counted)["kind"]))
    assert values == {"b": "15", "it&#39;s": "15"}
    odd = client.get(link(dict(counted)["kind"], r'href="([^"]*)"><bdi>it&#39;s')).text
    assert len(ids(odd)) == 15
    both = client.get(link(odd, r'href="([^"]*)"><bdi>2001')).text
    assert len(ids(both)) == 5
    assert html.escape("(kind = 'it''s') AND \"my year\" = 2001", quote=False) in html.unescape(both)
    everything = client.get(link(both, r'href="([^"]*)">remove')).text
    assert len(ids(everything)) == COUNT


def test_a_filter_that_cannot_be_says_so_and_stays_to_be_corrected(client: TestClient) -> None:
    for path in ("/", "/export.csv", "/export.json"):
        answer = client.get(path, params={"q": "solar", "where": "<b>nope</b> >> 3", "ui": "ar"})
        assert answer.status_code == 422
        assert '<p lang="en" dir="ltr">' in answer.text
        assert "<b>" not in answer.text
        assert html.escape("<b>nope</b> >> 3") in answer.text
        assert 'value="solar"' in answer.text
    assert client.get("/?q=x&offset=-1").status_code == client.get("/?q=x&offset=9999999").status_code == 422
    assert client.get("/?q=x&where=" + "a" * 2001).status_code == 422


def test_files_and_copied_links_hold_filter_and_page(client: TestClient) -> None:
    text = client.get("/?q=solar&view=one&mode=dense&k=5&offset=5&where=kind = 'b'").text
    found = client.get(link(text, r'href="(\./export\.json[^"]*)"')).json()["lists"][0]
    assert [hit["rank"] for hit in found["hits"]] == [6, 7, 8, 9, 10]
    assert {hit["metadata"]["kind"] for hit in found["hits"]} == {"b"}
    assert (found["where"], found["offset"]) == ("kind = 'b'", 5)
    assert re.search(r'name="where" value="kind = &#39;b&#39;"', text)


def test_a_long_passage_shows_its_telling_part_and_all_of_it_on_demand(client: TestClient) -> None:
    text = client.get("/?q=panels&view=one&mode=lexical&k=1").text
    shown = re.search(r'<p class="text">(… .*? …)</p>', text)
    assert shown is not None
    assert "<mark>panels</mark>" in shown[1]
    assert len(shown[1]) < 500
    assert "the whole passage" in text
    assert len(text) > len(LONG)


def test_what_stands_around_a_passage(client: TestClient) -> None:
    text = client.get("/?q=number4&view=one&mode=lexical&k=1").text
    around = client.get(link(text, r'href="(\./passage\?[^"]*)"'))
    assert around.status_code == 200
    parts = re.findall(r'<div class="around( here)?".*?<p class="text">(.*?)</p>', around.text, re.DOTALL)
    assert [bool(here) for here, _ in parts] == [False, True, False]
    assert "number3 " in parts[0][1]
    assert "<mark>number4</mark>" in parts[1][1]
    assert ids(client.get(link(around.text, r'href="([^"]*)">back')).text) == ["d1%231"]
    german = client.get(link(around.text, r'href="(\./passage\?[^"]*)" lang="de"'))
    assert '<html lang="de"' in german.text
    assert re.findall(r'<p class="text">(.*?)</p>', german.text, re.DOTALL) == [text for _, text in parts]
    for bad in ("", "?document=d1&at=nope", "?document=nope&at=d1%231", "?of=nope"):
        assert client.get(f"/passage{bad}").status_code == 404


def test_an_id_that_no_address_holds_is_shown_without_a_link() -> None:
    passages = [Passage("half\ud800", "half\ud800", "solar one", "en"), Passage("b c&d", "b c&d", "solar two", "en")]
    index = MemoryIndex(passages, encode([passage.text for passage in passages]))
    app = create_app({"one": Searcher(index, lambda texts, role: encode(texts))})
    client = TestClient(app, base_url="http://127.0.0.1")
    answer = client.get("/?q=solar&view=one&mode=dense")
    assert answer.status_code == 200
    assert answer.text.count("<article") == 2
    assert ids(answer.text) == ["b+c%26d"]
    assert client.get(link(answer.text, r'href="(\./passage\?[^"]*)"')).status_code == 200
    for kind in ("csv", "json"):
        assert "half\ufffd" in client.get(f"/export.{kind}?q=solar&view=one&mode=dense").content.decode()


def test_a_list_is_of_one_version_whatever_is_put_in_its_place_meanwhile() -> None:
    def version(lang: str, number: int) -> MemoryIndex:
        passages = [
            Passage(f"{lang}{n}", f"{lang}{n}", f"solar {lang}", lang, metadata={"n": n}) for n in range(number)
        ]
        return MemoryIndex(passages, encode([passage.text for passage in passages]))

    new = Searcher(version("fr", 7), lambda texts, role: encode(texts), model_name="new")

    class Replaced(MemoryIndex):
        def nearest(self, *args: Any, **kwargs: Any) -> list[Found]:
            found = super().nearest(*args, **kwargs)
            collection.open(new)
            return found

    old = version("de", 5)
    passages = [found.passage for found in old.nearest(encode(["solar"])[0], 5)]
    index = Replaced(passages, encode([passage.text for passage in passages]))
    (collection,) = open_collections({"one": Searcher(index, lambda texts, role: encode(texts), model_name="old")})
    limits, workers = ServeSettings(), Workers(4, 8, 20)
    finder = Finder([collection], workers, Metrics([collection], workers), limits)
    app = FastAPI()
    app.include_router(Pages([collection], finder, limits, ServedRerankers({}, late=False)).router)
    text = TestClient(app).get("/?q=solar&view=one&mode=dense&fair=balanced&k=3").text
    assert collection.model == "new"
    assert len(re.findall("<article", text)) == 3
    # Hits, the bar and its table, and the model are those of the version that was searched first.
    assert '<code dir="ltr">old</code>' in text
    assert re.findall(r'<tr><th scope="row"><span class="badge [^"]*">(..)', text) == ["de"]
    assert {found[:2] for found in ids(text)} == {"de"}


@pytest.mark.parametrize(
    ("field", "value", "filtered"),
    [
        ("in", "a", "\"in\" = 'a'"),
        ("a.b", 2.5, "a.b = 2.5"),
        ('say "x"', True, '"say ""x""" = true'),
        ("n", 3.0, "n = 3"),
    ],
)
def test_odd_names_and_values_are_quoted(field: str, value: str | float | bool, filtered: str) -> None:
    assert narrowed("", field, value) == filtered


def test_counts_stay_closed_where_two_lists_begin_side_by_side(client: TestClient) -> None:
    opened = {}
    for view in ("one", "two"):
        page = client.get(f"/?q=solar&view={view}").text
        counts = re.findall(r"<details( open)?><summary><bdi>([^<]+)</bdi>", page)
        opened[view] = [name for is_open, name in counts if is_open]
        assert len(counts) >= 2
    assert len(opened["one"]) == 1
    assert opened["two"] == []
