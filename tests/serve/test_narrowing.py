"""Filters, facets, pages, snippets, neighbours and what is like a passage, over the JSON API and in tools of agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.serve import parameter_names
from isoglot.serve.app import create_app
from isoglot.serve.keys import add_key
from isoglot.serve.parameter_names import parameters_of
from isoglot.serve.settings import ServeSettings
from support.serving import encode

LONG = "Filler words stand here. " * 20


def searcher(name: str = "books") -> Searcher:
    passages = [
        Passage(
            f"{name}{n}#{part}",
            f"{name}{n}",
            f"Part {part} of tide {n}. {LONG if part == 2 else ''} The moon pulls.",
            ("en", "de")[n % 2],
            f"Tide {n}",
            f"{name}.jsonl:{n}",
            {"year": 2000 + n, "tags": ["sea"] if n < 3 else ["sky", "sea"], "half": "\ud800"},
        )
        for n in range(6)
        for part in (1, 2, 3)
    ]
    vectors = encode([passage.text for passage in passages])
    return Searcher(MemoryIndex(passages, vectors), lambda texts, role: encode(texts), model_name="words")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app({"books": searcher()}), base_url="http://127.0.0.1") as client:
        yield client


def ask(client: TestClient, path: str = "/search", **params: Any) -> Any:
    answer = client.get(path, params=params if "id" in params else {"q": "moon tide", **params})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_filter_narrows_and_is_told(client: TestClient) -> None:
    found = ask(client, where="year >= 2003 AND NOT lang = 'DE'", k=100)
    assert {hit["document"] for hit in found["hits"]} == {"books4"}
    assert found["where"] == "year >= 2003 AND NOT lang = 'DE'"
    assert len(found["hits"]) == 3
    assert ask(client, q=" ", where="year = 2001")["hits"] == []


def test_facets_count_what_the_filter_leaves(client: TestClient) -> None:
    facets = ask(client, where="year > 2001", facets=["lang", "year", "tags"], k=1)["facets"]
    assert facets["lang"] == {
        "values": [{"value": "de", "count": 6}, {"value": "en", "count": 6}],
        "more": 0,
        "passages": 12,
        "without": 0,
    }
    assert facets["year"]["values"] == [{"value": 2002 + n, "count": 3} for n in range(4)]
    assert all(isinstance(entry["value"], int) for entry in facets["year"]["values"])  # as the hits' metadata
    assert facets["tags"]["values"] == [{"value": "sea", "count": 12}, {"value": "sky", "count": 9}]
    assert ask(client, facets=["lang"], lang=["de"])["facets"]["lang"]["values"] == [{"value": "de", "count": 9}]
    assert ask(client, facets=["half"])["facets"]["half"]["values"] == [{"value": "\ufffd", "count": 18}]


def test_pages_go_on_where_the_one_before_ended(client: TestClient) -> None:
    for fair in ("none", "balanced"):
        whole = ask(client, k=18, fair="none")["hits"]
        pages = [ask(client, k=5, offset=offset, fair=fair)["hits"] for offset in (0, 5, 10, 15, 20)]
        shown = [hit for page in pages for hit in page]
        assert [hit["rank"] for hit in shown] == list(range(1, 19))
        assert {hit["id"] for hit in shown} == {hit["id"] for hit in whole}
        if fair == "none":
            assert [hit["id"] for hit in shown] == [hit["id"] for hit in whole]


def test_one_result_of_a_document_names_the_others(client: TestClient) -> None:
    hits = ask(client, k=18, collapse=["document", "document"])["hits"]
    assert len(hits) == 6
    assert sorted(hits[0]["also"] + [hits[0]["id"]]) == [f"{hits[0]['document']}#{part}" for part in (1, 2, 3)]


def test_snippets_hold_the_words_and_neighbours_stand_around(client: TestClient) -> None:
    (hit,) = ask(client, q="moon", where="id = 'books1#2'", snippet=60, neighbours=1)["hits"]
    part = hit["snippet"]
    assert [part["text"][start:end] for start, end in part["marks"]] == ["moon"]
    assert hit["text"][part["start"] :].startswith(part["text"])
    assert len(part["text"]) <= 60
    assert (part["before"], part["after"]) == (True, False)
    assert [passage["id"] for passage in hit["neighbours"]["before"]] == ["books1#1"]
    assert [passage["id"] for passage in hit["neighbours"]["after"]] == ["books1#3"]
    plain = ask(client, k=1)["hits"][0]
    assert plain["snippet"] is None
    assert plain["neighbours"] is None


def test_what_is_like_a_passage(client: TestClient) -> None:
    found = ask(client, "/similar", id="books1#1", k=4, collapse=["document"], where="year < 2005", facets=["lang"])
    assert found["like"] == "books1#1"
    assert {hit["document"] for hit in found["hits"]} == {"books0", "books2", "books3", "books4"}
    own = searcher().more_like("books1#1", k=4, collapse=("document",), where="year < 2005")
    assert [hit["id"] for hit in found["hits"]] == [hit.id for hit in own]
    refused = client.get("/similar", params={"id": "nowhere"})
    assert refused.status_code == 404
    assert "there is no passage 'nowhere'" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"where": "yaer = 1"}, "where: character 1: there is no field 'yaer'; did you mean 'year'?"),
        ({"where": "year = 'x'"}, "'year' holds numbers"),
        ({"where": "year = 1; DROP TABLE passages"}, "where: character 9: ';' is not allowed here"),
        ({"where": "((("}, "the filter ends here"),
        ({"where": ""}, "the filter is empty"),
        ({"where": "\x00"}, "is not allowed here"),
        ({"where": "x" * 2001}, "where:"),
        ({"facets": ["nothing"]}, "facets: there is no field 'nothing'"),
        ({"facets": ["lang"] * 9}, "facets:"),
        ({"offset": -1}, "offset:"),
        ({"offset": 1001}, "offset:"),
        ({"collapse": "title"}, "collapse"),
        ({"snippet": 39}, "snippet:"),
        ({"neighbours": 6}, "neighbours:"),
        ({"langs": "de"}, "langs: there is no such parameter; did you mean lang?"),
        ({"Where": "lang = 'de'"}, "Where: there is no such parameter; did you mean where?"),
        ({"limit": 3}, "limit: there is no such parameter; there are: q, k, offset, lang, where, mode"),
        ({"k": [3, 4]}, "k: given 2 times; expected once"),
        ({"mode": ["dense", "dense"]}, "mode: given 2 times; expected once"),
        (
            {"langs": "de", "filter": "x"},
            "index; filter: there is no such parameter; did you mean fair? there",
        ),
        ({"\ud7ff\x00" * 90: "x"}, "there is no such parameter"),
        ({"": "x"}, "there is no such parameter"),
    ],
)
def test_what_cannot_be_is_named(client: TestClient, params: dict[str, Any], says: str) -> None:
    answer = client.get("/search", params={"q": "moon", **params})
    assert answer.status_code == 422
    assert says in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/search", params={"q": "moon"}).status_code == 200


def test_each_route_has_its_own_parameters(client: TestClient) -> None:
    refused = client.get("/similar", params={"id": "books1#1", "mode": "dense"})
    assert refused.status_code == 422
    assert "mode: there is no such parameter; there are: id, k, offset" in refused.json()["detail"]
    assert len(ask(client, lang=["de", "en"], facets=["lang", "year"], collapse=["document", "text"])["facets"]) == 2
    # People's links get parameters for tracking.
    assert client.get("/", params={"q": "moon", "utm_source": "news"}).status_code == 200


def test_what_a_route_takes_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(endpoint: Callable[..., Any]) -> Any:
        read.append(endpoint.__name__)
        return parameters_of(endpoint)

    monkeypatch.setattr(parameter_names, "parameters_of", counted)
    with TestClient(create_app({"books": searcher()}), base_url="http://127.0.0.1") as client:
        for _ in range(3):
            ask(client)
            ask(client, "/similar", id="books1#1")
            assert client.get("/search", params={"q": "x", "langs": "de"}).status_code == 422
    assert sorted(read) == ["search", "similar"]


def test_the_document_of_the_api_names_fields_and_languages(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    given = {entry["name"]: entry for entry in paths["/search"]["get"]["parameters"]}
    assert {"where", "offset", "collapse", "facets", "snippet", "neighbours"} <= set(given)
    assert "year" in str(given["facets"])
    assert "404" in paths["/similar"]["get"]["responses"]


def test_the_key_that_searches_finds_what_is_similar(tmp_path: Any) -> None:
    keys = tmp_path / "keys.json"
    key = add_key(keys, "searcher", ["search"], None)
    settings = ServeSettings(keys=keys)
    with TestClient(create_app({"books": searcher()}, settings), base_url="http://127.0.0.1") as client:
        assert client.get("/similar", params={"id": "books1#1"}).status_code == 401
        shown = {"Authorization": f"Bearer {key}"}
        assert client.get("/similar", params={"id": "books1#1"}, headers=shown).status_code == 200


def test_agents_filter_too() -> None:
    pytest.importorskip("mcp")
    from mcp import Client

    from isoglot.serve.mcp_tools import create_mcp

    async def talk() -> tuple[Any, Any, Any]:
        async with Client(create_mcp(searcher())) as client:
            tools = await client.list_tools()
            found = await client.call_tool("search", {"query": "moon", "where": "year = 2003", "k": 2, "offset": 1})
            refused = await client.call_tool("search", {"query": "moon", "where": "yaer = 2003"})
            return tools, found, refused

    tools, found, refused = asyncio.run(talk())
    assert "year" in str(next(tool for tool in tools.tools if tool.name == "search").input_schema)
    assert [entry["id"] for entry in found.structured_content["results"]] == ["books3"] * 2
    assert refused.is_error
    assert "there is no field 'yaer'" in refused.content[0].text


def test_a_language_of_another_index_alone_is_counted_as_none() -> None:
    french = MemoryIndex([Passage("x", "x", "marée", "fr")], encode(["marée"]))
    app = create_app({"books": searcher(), "fr": Searcher(french, lambda texts, role: encode(texts))})
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = ask(client, q="moon", lang="fr", index="books", facets=["lang", "year"], where="year > 2001")
        assert answer["hits"] == []
        none = {"values": [], "more": 0, "passages": 0, "without": 0}
        assert answer["facets"] == {"lang": none, "year": none}
        wrong = client.get("/search", params={"q": "moon", "lang": "fr", "index": "books", "where": "yaer > 2001"})
        assert wrong.status_code == 422


def test_nothing_is_encoded_twice() -> None:
    asked: list[str] = []

    def embed(texts: list[str], role: str) -> np.ndarray:
        asked.extend(texts)
        return encode(texts)

    passages = [Passage(f"p{n}", f"p{n}", f"tide {n}", "en") for n in range(30)]
    index = MemoryIndex(passages, encode([passage.text for passage in passages]))
    app = create_app({"one": Searcher(index, embed, model_name="words")})
    with TestClient(app, base_url="http://127.0.0.1") as client:
        ask(client, q="only once", k=3, offset=6, fair="balanced", facets=["lang"], collapse=["text"])
    assert asked.count("only once") == 1
