"""The page's lists, re-ranked: a choice for each, what it shows and saves, and where its pages end."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.serve.app import create_app
from isoglot.serve.page_request import read_request
from isoglot.serve.settings import ServeSettings
from support.serving import Longest, searcher

BASE = "http://127.0.0.1"
ENGLISH = {"accept-language": "en"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app({"index": searcher(12)}, judges={"longest": Longest()})
    with TestClient(app, base_url=BASE, headers=ENGLISH) as client:
        yield client


def lists(page: str) -> list[list[str]]:
    """Texts of the results, list by list."""
    parts = page.split('<section aria-labelledby="list')[1:]
    return [re.findall(r"of=index&amp;document=([^&]*)&amp;at=", part) for part in parts]


def found(client: TestClient, **asked: object) -> list[str]:
    return [hit["document"] for hit in client.get("/search", params=asked).json()["hits"]]


def test_a_choice_for_each_list(client: TestClient) -> None:
    asked = {"q": "solar", "k": 5, "view": "two", "mode": "dense", "mode2": "dense", "rerank2": "longest"}
    page = client.get("/", params=asked).text
    plain, judged = found(client, q="solar", k=5), found(client, q="solar", k=5, rerank="longest")
    assert plain != judged
    assert lists(page) == [plain, judged]
    first, second = re.findall(r"<h2 id=\"list.*?</h2>", page)
    assert "re-ranked by longest" in second
    assert "re-ranked" not in first
    assert re.findall(r'<option value="longest"[^>]*>', page)[0].count("selected") == 0
    assert re.findall(r'<option value="longest"[^>]*>', page)[1].count("selected") == 1
    # The links of the page lead to the same state.
    link = html.unescape(re.search(r'href="[^"]*export\.json\?([^"]*)"', page)[1])
    assert "rerank2=longest" in link
    assert "rerank=" not in link


def test_balanced_lists_and_files_are_re_ranked_too(client: TestClient) -> None:
    asked = {"q": "solar", "k": 5, "view": "one", "mode": "hybrid", "fair": "balanced", "rerank": "longest"}
    wanted = found(client, q="solar", k=5, mode="hybrid", fair="balanced", rerank="longest")
    assert lists(client.get("/", params=asked).text) == [wanted]
    saved = client.get("/export.json", params=asked).json()["lists"][0]
    assert saved["rerank"] == "longest"
    assert [hit["document"] for hit in saved["hits"]] == wanted
    head, first, *_ = client.get("/export.csv", params=asked).text.splitlines()
    assert (head.rpartition(",")[2], first.rpartition(",")[2]) == ("rerank", "longest")


def test_pages_end_with_what_was_looked_at(client: TestClient) -> None:
    asked = {"q": "solar", "k": 20, "view": "one", "mode": "dense"}

    def goes_on(**more: object) -> bool:
        answer = client.get("/", params={**asked, **more})
        assert answer.status_code == 200
        return 'rel="next"' in answer.text

    assert goes_on(offset=20)
    assert goes_on(offset=0, rerank="longest")
    assert not goes_on(offset=20, rerank="longest")
    beyond = client.get("/", params={**asked, "offset": 40, "rerank": "longest"})
    assert beyond.status_code == 422
    assert "expected 0 to 30 to be skipped" in html.unescape(beyond.text)
    # What is not in view does not end the pages.
    assert goes_on(offset=20, rerank2="longest")


def test_what_there_is_not_is_named(client: TestClient) -> None:
    answer = client.get("/", params={"q": "solar", "rerank": "gone"})
    assert answer.status_code == 422
    assert "possible are: none, longest." in html.unescape(answer.text)


def test_a_server_without_any_offers_none() -> None:
    with TestClient(create_app({"index": searcher()}), base_url=BASE, headers=ENGLISH) as plain:
        page = plain.get("/", params={"q": "solar"})
        assert page.status_code == 200
        assert "rerank" not in page.text
        assert plain.get("/", params={"q": "solar", "rerank": "late"}).status_code == 422


def test_addresses_lead_back(client: TestClient) -> None:
    from starlette.datastructures import QueryParams

    how = (["index"], ["en"], ["late", "longest"], ServeSettings())
    asked = read_request(QueryParams("q=a&view=two&rerank=late&rerank2=longest&offset=10&k=10"), *how)
    assert [choice.reranker for choice in asked.shown] == ["late", "longest"]
    assert read_request(QueryParams(asked.address()), *how) == asked
