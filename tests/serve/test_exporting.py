"""Results as files: what the page shows, whole, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from itertools import chain

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.search.hit import Hit
from isoglot.serve.app import create_app
from isoglot.serve.exporting import COLUMNS, Found, as_csv, as_json
from isoglot.serve.page_request import ListChoice, PageRequest
from support.serving import searcher


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = create_app({"first": searcher(), "second": searcher(turned=True)})
    return TestClient(app, base_url="http://127.0.0.1")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


@pytest.mark.parametrize("view", ["one", "two"])
def test_files_hold_what_the_api_finds(client: TestClient, view: str) -> None:
    # In the order of the page: sums over languages are rounded in theirs.
    asked = {"q": "solar panel", "k": 5, "lang": ["de", "en"], "mode": "dense", "fair": "balanced"}
    # Words alone are searched for once, wherever the switch stands.
    switches = {"feedback": "on", "feedback2": "on"}
    state = {**asked, **switches, "view": view, "index": "second", "index2": "first", "mode2": "lexical"}
    plain = client.get("/search", params={**asked, "index": "second"}).json()["hits"]
    wanted = [client.get("/search", params={**asked, "index": "second", "feedback": True}).json()["hits"]]
    assert [hit["score"] for hit in wanted[0]] != [hit["score"] for hit in plain]
    if view == "two":
        second = {**asked, "index": "first", "mode": "lexical", "fair": "none"}
        wanted.append(client.get("/search", params=second).json()["hits"])
    answer = client.get("/export.json", params=state)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="results.json"'
    lists = [found["hits"] for found in answer.json()["lists"]]
    assert [found["feedback"] for found in answer.json()["lists"]] == [True, False][: len(wanted)]
    assert [[hit["id"] for hit in hits] for hits in lists] == [[hit["id"] for hit in hits] for hits in wanted]
    # All that a file says of a result is what the API says of it.
    for mine, theirs in zip(chain(*lists), chain(*wanted), strict=True):
        assert mine.items() <= theirs.items()
        assert theirs.keys() - mine.keys() == {"also", "snippet", "neighbours"}
    answer = client.get("/export.csv", params=state)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    found = rows(answer.content.decode("utf-8"))
    assert [(int(row["list"]), int(row["rank"]), row["id"]) for row in found] == [
        (number, hit["rank"], hit["id"]) for number, hits in enumerate(wanted, 1) for hit in hits
    ]
    assert {(row["index"], row["feedback"]) for row in found} == set(
        [("second", "on"), ("first", "off")][: len(wanted)]
    )


def test_the_pages_links_lead_there(client: TestClient) -> None:
    text = client.get("/?q=solar&view=one&k=3").text
    link = text.split('href="./export.csv?')[1].split('"')[0].replace("&amp;", "&")
    assert len(rows(client.get(f"/export.csv?{link}").text)) == 3
    assert "export.csv" not in client.get("/").text


def test_bad_addresses_and_empty_queries(client: TestClient) -> None:
    assert client.get("/export.csv?k=0").status_code == 422
    assert client.get("/export.json?view=three").status_code == 422
    assert rows(client.get("/export.csv").text) == []
    assert [found["hits"] for found in client.get("/export.json?view=two").json()["lists"]] == [[], []]


def test_a_table_comes_back_as_it_was_and_formulas_do_not_run() -> None:
    text = 'two\nlines, "quoted"; \ud800\x00 — \u202eא'
    hits = [
        Hit("a", text, "=HYPERLINK(1)", "en", 0.5, "-x.txt", {"n": float("nan")}, {"dense": 0.5}, "doc"),
        Hit("b", "+1", "@x", "und", float("nan")),
    ]
    choice = ListChoice("=index")
    found = Found(PageRequest("q", (), 10, "one", (choice, choice), offset=20), choice, hits)
    table = rows(as_csv([found]))
    assert tuple(table[0]) == COLUMNS
    assert [row["rank"] for row in table] == ["21", "22"]
    assert table[0]["text"] == 'two\nlines, "quoted"; \ufffd\ufffd — \u202eא'
    assert [table[0][name] for name in ("title", "source", "index")] == ["'=HYPERLINK(1)", "'-x.txt", "'=index"]
    assert [table[1][name] for name in ("title", "text", "score")] == ["'@x", "'+1", "nan"]
    exact = as_json([found])
    assert '"title": "=HYPERLINK(1)"' in exact
    assert '"n": null' in exact
    assert '"score": 0.0' in exact  # as the API tells it


@pytest.mark.parametrize("first", list("=+-@＝＋－＠\t\r\n"))
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(first: str) -> None:
    choice = ListChoice("index")
    hit = Hit("a", f"{first}cmd", "plain = text", "en", 0.5)
    (row,) = rows(as_csv([Found(PageRequest("q", (), 10, "one", (choice, choice)), choice, [hit])]))
    assert row["text"] == f"'{first}cmd"
    assert row["title"] == "plain = text"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (" =1+1", "' =1+1"),
        ("a;=1+1;b", "a;'=1+1;b"),
        ("a; @b", "a;' @b"),
        ("one\n=1+1\r\n\t+2", "one\n'=1+1\r\n\t'+2"),
        ("a = b; c - d", "a = b; c - d"),
    ],
)
def test_formulas_within_a_text_do_not_run_where_semicolons_or_line_ends_separate_cells(text: str, cell: str) -> None:
    choice = ListChoice("index")
    hit = Hit("a", text, "", "en", 0.5)
    (row,) = rows(as_csv([Found(PageRequest("q", (), 10, "one", (choice, choice)), choice, [hit])]))
    assert row["text"] == cell


def test_keys_open_files_of_results_to_those_who_may_search(tmp_path: object) -> None:
    from pathlib import Path

    from isoglot.serve.keys import add_key
    from isoglot.serve.settings import ServeSettings

    path = Path(str(tmp_path)) / "keys.json"
    search, embed = add_key(path, "reader"), add_key(path, "maker", ("embed",))
    client = TestClient(create_app({"one": searcher()}, ServeSettings(keys=path)), base_url="http://127.0.0.1")
    for name in ("/export.csv", "/export.json"):
        assert client.get(f"{name}?q=solar").status_code == 401
        assert client.get(f"{name}?q=solar", headers={"X-API-Key": embed}).status_code == 403
        assert client.get(f"{name}?q=solar", headers={"X-API-Key": search}).status_code == 200
