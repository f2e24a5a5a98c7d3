"""`isoglot.client` against the application, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.client import Client, Ranked, ServerError
from isoglot.core.errors import InputError
from isoglot.serve.app import create_app
from isoglot.serve.keys import add_key
from isoglot.serve.settings import ServeSettings
from support.serving import embed, searcher, translated

URL = "http://127.0.0.1/find/"


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[[str | None], Client]]:
    """Clients of a server under a path that wants keys."""
    keys = tmp_path / "keys.json"
    add_key(keys, "unused")
    limits = ServeSettings(keys=keys, root_path="/find")
    app = create_app({"first": searcher(), "second": searcher(turned=True)}, limits, embed={"first": embed})
    with TestClient(app, base_url="http://127.0.0.1") as server:

        def answer(request: httpx.Request) -> httpx.Response:
            got = server.request(
                request.method, str(request.url), headers=dict(request.headers), content=request.content
            )
            return httpx.Response(got.status_code, headers=dict(got.headers), content=got.content)

        yield lambda key: Client(URL, key, transport=httpx.MockTransport(answer))


def test_all_of_it(connect: Callable[[str | None], Client], tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.json", "client", ("search", "embed"))
    with connect(key) as client:
        for index, own in (("first", searcher()), ("second", searcher(turned=True))):
            hits = client.search("solar panel", k=4, langs=["en", "de"], fair="balanced", index=index)
            expected = own.search("solar panel", k=4, langs=["en", "de"], fair="balanced")
            assert [(hit.rank, hit.id, hit.score) for hit in hits] == [
                (rank, hit.id, pytest.approx(hit.score)) for rank, hit in enumerate(expected, 1)
            ]
        texts = [f"text {number}" for number in range(300)]  # more than one request takes
        np.testing.assert_allclose(client.embed(texts, "query"), embed(texts, "query"), atol=1e-6)
        assert client.embed([]).shape == (0, 0)
        # Of long texts fewer go into a request.
        long = [f"{number} " + "ยาว" * 3000 for number in range(60)]
        np.testing.assert_allclose(client.embed(long), embed(long, "passage"), atol=1e-6)
        (best,) = client.rerank("moon", ["bread", "the moon"], top_n=1)
        cosine = float(embed(["the moon"], "passage")[0] @ embed(["moon"], "query")[0])
        assert best == Ranked(1, pytest.approx(cosine))


def test_counts_are_those_of_the_searcher(connect: Callable[[str | None], Client], tmp_path: Path) -> None:
    own = searcher()
    with connect(add_key(tmp_path / "keys.json", "counter")) as client:
        for how in ({}, {"langs": ["en", "de"]}, {"where": "title LIKE 'So%'"}):
            counted, expected = client.facets(["lang", "title"], **how), own.facets(["lang", "title"], **how)
            assert [(name, dict(facet.counts)) for name, facet in counted.items()] == [
                (name, dict(facet.counts)) for name, facet in expected.items()
            ]
            for name, facet in counted.items():
                other = expected[name]
                assert (facet.more, facet.passages, facet.without) == (other.more, other.passages, other.without)
        assert client.facets(["lang"], where="title LIKE 'So%'")["lang"].counts == {"de": 1, "en": 1}
        assert [hit.lang for hit in client.search("solar", where="lang = 'de'")] == ["de", "de"]
        with pytest.raises(ServerError, match=r"422 .*colour.* lang"):
            client.facets(["colour"])


def test_searching_twice_is_asked_for_where_it_is_wanted() -> None:
    asked: list[str] = []
    with TestClient(create_app({"one": translated()}), base_url="http://127.0.0.1") as server:

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.query.decode())
            got = server.get(str(request.url))
            return httpx.Response(got.status_code, content=got.content)

        client = Client("http://127.0.0.1", transport=httpx.MockTransport(answer))
        for feedback in (False, True):
            found = client.search("Flut", k=4, feedback=feedback)
            expected = translated().search("Flut", k=4, feedback=feedback)
            assert [hit.id for hit in found] == [hit.id for hit in expected]
        with pytest.raises(ServerError, match="422 feedback: moves vectors"):
            client.search("Flut", mode="lexical", feedback=True)
    # Servers that do not know it yet are not asked for it.
    assert ["feedback" in query for query in asked] == [False, True, True]


def test_refusals_carry_what_the_server_says(connect: Callable[[str | None], Client], tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="401 this server requires a key") as raised:
        connect(None).search("x")
    assert raised.value.status == 401
    client = connect(add_key(tmp_path / "keys.json", "seldom", per_minute=1))
    with pytest.raises(ServerError, match="422 lang: there is no 'xx'"):
        client.search("x", langs=["xx"])
    with pytest.raises(ServerError, match="is limited to 1 requests a minute") as raised:
        client.search("x")
    assert raised.value.retry_after is not None
    assert 50 < raised.value.retry_after <= 60


def test_a_server_that_is_not_there_or_is_another() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ServerError, match="is the server running"):
        Client(URL, transport=httpx.MockTransport(gone)).search("x")
    other = httpx.MockTransport(lambda request: httpx.Response(502, text="<html>bad gateway"))
    with pytest.raises(ServerError, match="502, and the answer is not JSON"):
        Client(URL, transport=other).search("x")


def test_one_text_is_no_list_and_languages_may_be_one(connect: Callable[[str | None], Client], tmp_path: Path) -> None:
    client = connect(add_key(tmp_path / "keys.json", "client", ("search", "embed")))
    one = "given as one text; expected a list"
    for name, ask in (
        ("texts", lambda: client.embed("abc")),
        ("documents", lambda: client.rerank("q", "text")),
        ("names", lambda: client.facets("lang")),
        ("collapse", lambda: client.search("x", collapse="text")),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match=f"{name}: {one}"):
            ask()
    with pytest.raises(InputError, match="texts: given as int; expected a list"):
        client.embed(5)  # type: ignore[arg-type]
    for langs in ("de,EN", ["de", "en"], ("de", "en")):
        assert {hit.lang for hit in client.search("solar", langs=langs)} == {"de", "en"}
        assert set(client.facets(["lang"], langs=langs)["lang"].counts) == {"de", "en"}
    assert len(client.search("solar", langs=None)) == 10
    for nothing in ("", " ,", [], (), [""]):  # refused by `Searcher.search` too, lest it search all of them
        with pytest.raises(InputError, match=r"langs.*: names no language"):
            client.search("solar", langs=nothing)
        with pytest.raises(InputError, match=r"langs.*: names no language"):
            client.facets(["lang"], langs=nothing)
    for wrong, said in (([5], "holds 5"), (5, "given as int")):
        with pytest.raises(InputError, match=f"langs.*{said}"):
            client.search("solar", langs=wrong)  # type: ignore[arg-type]


def test_texts_that_utf_8_lacks_are_sent_without(connect: Callable[[str | None], Client], tmp_path: Path) -> None:
    client = connect(add_key(tmp_path / "keys.json", "client", ("search", "embed")))
    assert client.search("solar \ud800")
    assert client.embed(["solar \udcff"]).shape[0] == 1
    assert client.rerank("moon \ud800", ["bread \ud800", "the moon"])[0].index == 1


def test_a_result_names_those_that_it_stands_for() -> None:
    app = create_app({"twice": searcher(2)})
    with TestClient(app, base_url="http://127.0.0.1") as server:
        got = server.get("/search", params={"q": "solar panel", "k": 3, "collapse": "text"})
    client = Client(URL, transport=httpx.MockTransport(lambda request: httpx.Response(200, content=got.content)))
    expected = searcher(2).search("solar panel", k=3, collapse=["text"])
    assert [tuple(hit.also) for hit in client.search("solar panel", k=3, collapse=["text"])] == [
        hit.also for hit in expected
    ]
    assert all(hit.also for hit in expected)


def test_a_query_of_nothing_is_refused_before_it_is_sent() -> None:
    client = Client(URL, transport=httpx.MockTransport(lambda request: pytest.fail("it was sent")))
    for query in (None, 5, ["x"]):
        with pytest.raises(InputError, match=r"query: given as .*; expected a text"):
            client.search(query)  # type: ignore[arg-type]
    for query in ("", " \n"):
        with pytest.raises(InputError, match="query: has nothing but spaces"):
            client.search(query)
