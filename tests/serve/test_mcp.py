"""The tools of agents, called by the SDK's own client: in memory, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters, stdio_client

from isoglot.cli.serving import judge_of
from isoglot.core.errors import InputError
from isoglot.encoders.opening import open_embedder
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.serve.mcp_tools import create_mcp
from support.serving import Longest, encode, passages, searcher, translated

_SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from types import SimpleNamespace
from support.serving import searcher
import isoglot.search.stores.named, isoglot.search.searcher
about = SimpleNamespace(model="tiny", options={{}})
isoglot.search.stores.named.open_place = lambda folder: SimpleNamespace(about=about)
isoglot.search.searcher.Searcher.open = classmethod(lambda cls, path, model, **how: searcher())
from isoglot.cli import main
main(["mcp", "some/news"])
"""


def ask(server: Any, tool: str, **arguments: Any) -> Any:
    async def call() -> Any:
        async with Client(server) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(call())


def test_tools_describe_themselves() -> None:
    async def look() -> Any:
        async with Client(create_mcp(searcher(), "news")) as client:
            return client.server_info.name, client.instructions, (await client.list_tools()).tools

    name, instructions, tools = asyncio.run(look())
    assert name == "news"
    assert "10 passages in 7 languages (ar, de, en, hi, tr, und, zh)" in instructions
    assert [tool.name for tool in tools] == ["search", "fetch"]
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert tools[0].input_schema["required"] == ["query"]


def test_search_finds_what_the_searcher_finds() -> None:
    found = ask(create_mcp(searcher()), "search", query="solar panel", k=3, langs=["en", "de"])
    expected = searcher().search("solar panel", k=3, langs=["en", "de"])
    assert [entry["id"] for entry in found.structured_content["results"]] == [hit.document for hit in expected]
    assert found.structured_content["results"][0]["url"] == "https://example.org/?a=1&b=2"
    assert ask(create_mcp(searcher()), "search", query=" \x00").structured_content == {
        "results": [],
        "facets": {},
    }


def test_searching_twice_finds_translations() -> None:
    server = create_mcp(translated())
    for feedback in (False, True):
        found = ask(server, "search", query="Flut", k=4, feedback=feedback).structured_content["results"]
        expected = translated().search("Flut", k=4, feedback=feedback)
        assert [entry["id"] for entry in found] == [hit.document for hit in expected]
    assert [entry["lang"] for entry in found] == ["de", "el", "tr", "fr"]


def test_what_the_server_was_given_has_the_last_word() -> None:
    server = create_mcp(searcher(7), rerank=Longest())
    found = ask(server, "search", query="solar", k=5, offset=5).structured_content["results"]
    expected = searcher(7).search("solar", k=5, offset=5, rerank=Longest())
    assert [entry["id"] for entry in found] == [hit.document for hit in expected]
    assert [entry["id"] for entry in found] != [hit.document for hit in searcher(7).search("solar", k=5, offset=5)]
    refused = ask(server, "search", query="solar", k=10, offset=45)
    assert refused.is_error
    assert "only the 50 best results can be read here" in refused.content[0].text
    assert not ask(create_mcp(searcher(7)), "search", query="solar", k=10, offset=45).is_error
    with pytest.raises(InputError, match="expected `late`"):
        create_mcp(searcher(), rerank="some/model")  # type: ignore[arg-type]


def test_the_tokens_of_the_own_model_may_have_it(tiny_model: Path) -> None:
    held, model = passages(), open_embedder(str(tiny_model))
    index = MemoryIndex(held, model([one.text for one in held], "passage"))
    own = Searcher(index, model, model_name="tiny")
    found = ask(create_mcp(own, rerank="late"), "search", query="solar panel", k=4).structured_content["results"]
    assert [entry["id"] for entry in found] == [hit.document for hit in own.search("solar panel", k=4, rerank="late")]
    with pytest.raises(InputError, match="--rerank gone: "):
        judge_of("gone")


def test_counts_and_filters_narrow_down() -> None:
    server, own = create_mcp(searcher()), searcher()
    found = ask(server, "search", query="solar", k=2, facets=["lang", "title"], where="lang IN ('de', 'en')")
    assert len(found.structured_content["results"]) == 2
    assert {entry["lang"] for entry in found.structured_content["results"]} <= {"de", "en"}
    facets = found.structured_content["facets"]
    # Three passages are English and two German, whatever the query.
    assert facets["lang"]["values"] == [{"value": "en", "count": 3}, {"value": "de", "count": 2}]
    assert (facets["lang"]["passages"], facets["lang"]["without"], facets["lang"]["more"]) == (5, 0, 0)
    titles = own.facets(["title"], where="lang IN ('de', 'en')")["title"].counts
    assert {entry["value"]: entry["count"] for entry in facets["title"]["values"]} == titles
    counted = ask(server, "search", query="", facets=["lang"], langs=["hi"]).structured_content
    assert counted["results"] == []
    assert counted["facets"]["lang"]["values"] == [{"value": "hi", "count": 1}]
    for arguments, said in (
        ({"facets": ["colour"]}, "colour"),
        ({"facets": ["lang"] * 9}, "at most 8"),
        ({"where": "lang = "}, "where"),
    ):
        answer = ask(server, "search", query="solar", **arguments)
        assert answer.is_error
        assert said in answer.content[0].text


def test_fetch_reads_a_document_in_its_order() -> None:
    texts = [f"part {number}" for number in range(12)]
    passages = [Passage(f"a#{number}", "a", text, "en", "A", "a.txt") for number, text in enumerate(texts)]
    passages.append(Passage("b", "b", "other", "de"))
    mixed = [passages[place] for place in (11, 12, 3, 10, 0, 1, 2, 4, 5, 6, 7, 8, 9)]
    index = MemoryIndex(mixed, encode([passage.text for passage in mixed]))
    server = create_mcp(Searcher(index, lambda texts, role: encode(texts)))
    fetched = ask(server, "fetch", id="a").structured_content
    assert fetched == {
        "id": "a", "title": "A", "lang": "en", "text": "\n\n".join(texts), "url": "a.txt", "metadata": {},
    }  # fmt: skip


def test_what_went_wrong_is_said_and_nothing_of_the_machine() -> None:
    index = searcher()
    server = create_mcp(index)
    for tool, arguments, said in (
        ("search", {"query": "x", "langs": ["xx"]}, "there is no 'xx'; there are: ar, de"),
        ("search", {"query": "x", "k": 0}, "greater than or equal to 1"),
        ("search", {"query": "x", "mode": "lexical", "feedback": True}, "feedback: moves vectors"),
        ("fetch", {"id": "gone"}, "there is no document 'gone'"),
    ):
        answer = ask(server, tool, **arguments)
        assert answer.is_error
        assert said in answer.content[0].text

    def fail(*args: object, **kwargs: object) -> None:
        raise InputError("/secret/path is gone")

    def lose(*args: object, **kwargs: object) -> None:
        raise OSError("/secret/path is gone")

    index.search = fail  # type: ignore[method-assign,assignment]
    for what in (fail, lose):
        index.document = what  # type: ignore[method-assign,assignment]
        for tool, arguments in (("search", {"query": "x"}), ("fetch", {"id": "x"})):
            answer = ask(server, tool, **arguments)
            assert answer.is_error
            assert "the index does not answer" in answer.content[0].text
            assert "/secret" not in answer.content[0].text


def test_the_command_over_stdio() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    script = _SCRIPT.format(tests=str(Path(__file__).parents[1]))
    parameters = StdioServerParameters(command=sys.executable, args=["-c", script], env=environment)
    answer = ask(stdio_client(parameters), "search", query="solar panel", k=1)
    assert answer.structured_content["results"][0]["title"] == "Solar panels"


def test_a_client_that_vanishes_with_calls_in_flight() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    script = _SCRIPT.format(tests=str(Path(__file__).parents[1]))
    about = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "it", "version": "1"}}
    asked: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": about},
        {"method": "notifications/initialized"},
        *(
            {"id": n, "method": "tools/call", "params": {"name": "search", "arguments": {"query": "sun"}}}
            for n in (2, 3)
        ),
    ]
    lines = [json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in asked]
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin
        assert server.stdout
        assert server.stderr
        server.stdin.write(lines[0])
        server.stdin.flush()
        assert b'"result"' in server.stdout.readline()
        server.stdout.close()
        server.stdin.write(b"".join(lines[1:]))
        server.stdin.close()
        told = server.stderr.read().decode()
        assert (server.wait(60), told) == (0, "")


def test_over_http_by_this_machines_name_only() -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    app = create_mcp(searcher()).streamable_http_app(host="127.0.0.1", stateless_http=True, json_response=True)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        answer = client.post("/mcp", json=asked, headers=accept)
        assert [tool["name"] for tool in answer.json()["result"]["tools"]] == ["search", "fetch"]
        assert client.post("/mcp", json=asked, headers={**accept, "Host": "evil.example"}).status_code == 421
        assert client.post("/mcp", json=asked, headers={**accept, "Origin": "https://evil.example"}).status_code == 403


def test_arguments_that_there_are_not_are_refused() -> None:
    server = create_mcp(searcher())
    for tool, arguments, said in (
        ("search", {"query": "x", "lang": ["de"]}, "lang: there is no such argument; did you mean langs?"),
        ("search", {"query": "x", "limit": 3}, "limit: there is no such argument; there are: query, k, langs, where"),
        ("fetch", {"id": "x", "ID": "x"}, "ID: there is no such argument; did you mean id?"),
    ):
        answer = ask(server, tool, **arguments)
        assert answer.is_error
        assert said in answer.content[0].text
    assert ask(server, "serch", query="x").is_error

    async def look() -> Any:
        async with Client(server) as client:
            return [tool.input_schema["additionalProperties"] for tool in (await client.list_tools()).tools]

    assert asyncio.run(look()) == [False, False]


def test_whole_numbers_are_counted_as_such() -> None:
    held = [Passage(f"d{year}", f"d{year}", "sea", "en", metadata={"year": year}) for year in (2018, 2018.5)]
    index = MemoryIndex(held, encode(["sea", "sea"]))
    server = create_mcp(Searcher(index, lambda texts, role: encode(texts)))
    years = ask(server, "search", query="", facets=["year"]).structured_content["facets"]["year"]["values"]
    assert str(years) == "[{'value': 2018, 'count': 1}, {'value': 2018.5, 'count': 1}]"
