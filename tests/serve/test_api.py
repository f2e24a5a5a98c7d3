"""The server in process: its API, its limits, and that nothing it is given gets through unescaped."""

from __future__ import annotations

import asyncio
import base64
import html
import json
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.core.errors import InputError, MissingPackageError
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.guard import HEADERS
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import Workers
from support.serving import TEXTS, embed, encode, searcher, translated

BASE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app({"first": searcher(), "second": searcher(turned=True)}, embed={"first": embed})
    with TestClient(app, base_url=BASE) as client:
        yield client


class Tags(HTMLParser):
    """Elements with their attributes, and the text outside of the head."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def test_search_answers_what_the_searcher_finds(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "solar panel", "k": 3}).json()
    expected = searcher().search("solar panel", k=3)
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in expected])
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    assert (answer["index"], answer["model"], answer["mode"], answer["fair"]) == ("first", "words", "dense", "none")


def test_searching_twice_is_asked_for_and_told() -> None:
    encoded: list[str] = []
    own = translated()

    def look(texts: list[str], role: str) -> np.ndarray:
        encoded.extend(texts)
        return own.query_vectors(texts)

    with TestClient(create_app({"one": Searcher(own._index, look)}), base_url=BASE) as client:
        # The vector that is remembered is the query's own, whichever comes first.
        for feedback in (True, False, True):
            for mode in ("dense", "hybrid"):
                asked = {"q": "Flut", "k": 4, "mode": mode, "feedback": feedback}
                answer = client.get("/search", params=asked).json()
                expected = own.search("Flut", k=4, mode=mode, feedback=feedback)
                assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected]
                assert answer["feedback"] is feedback
        assert encoded == ["Flut"]
        plain = client.get("/search", params={"q": "Flut", "k": 4}).json()
        assert plain["feedback"] is False
        assert {hit["lang"] for hit in plain["hits"]} == {"de"}
        paths = client.get("/openapi.json").json()["paths"]
        taking = [path for path, methods in paths.items() if '"feedback"' in json.dumps(methods)]
        assert taking == ["/search"]


def test_search_keeps_to_languages_and_index(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "solar", "lang": ["de", "ar"], "index": "second"}).json()
    assert {hit["lang"] for hit in answer["hits"]} == {"de", "ar"}
    assert (answer["index"], answer["langs"]) == ("second", ["de", "ar"])


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, "q: Field required"),
        ({"q": "x", "k": 0}, "k:"),
        ({"q": "x", "k": 101}, "k:"),
        ({"q": "x", "k": "ten"}, "k:"),
        ({"q": "x", "mode": "magic"}, "mode:"),
        ({"q": "x", "fair": "very"}, "fair:"),
        ({"q": "x", "feedback": "very"}, "feedback:"),
        ({"q": "x", "feedback": "true", "mode": "lexical"}, "feedback: moves vectors, and mode 'lexical' has none"),
        ({"q": "x", "index": "../../etc"}, "index:"),
        ({"q": "x", "lang": "xx"}, "lang: there is no 'xx'; there are: ar, de"),
        ({"q": "x" * 2001}, "q:"),
    ],
)
def test_bad_parameters_are_named(client: TestClient, params: dict[str, object], says: str) -> None:
    answer = client.get("/search", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(says)
    assert answer.json()["status"] == 422


@pytest.mark.parametrize("query", ["%00%1b%ed%a0%80", "%ff%fe", "%20", "", "%e2%80%ae%d8%a7", "%f0%9f%98%80"])
def test_strange_queries_are_answered(client: TestClient, query: str) -> None:
    for path in ("/search", "/"):
        answer = client.get(f"{path}?q={query}")
        assert answer.status_code == 200
        answer.content.decode("utf-8")


def test_documents_with_half_characters_and_nan_are_valid_json(client: TestClient) -> None:
    hits = client.get("/search", params={"q": "solar", "lang": "tr"}).json()["hits"]
    assert "\ufffd bozuk" in hits[0]["text"]
    assert hits[0]["metadata"]["n"] is None


def test_page_shows_results_with_language_and_direction(client: TestClient) -> None:
    page = Tags(client.get("/", params={"q": "solar", "view": "one"}).text)
    directions = {attrs["lang"]: attrs["dir"] for attrs in page.named("div") if attrs.get("lang")}
    assert directions["ar"] == "rtl"
    assert directions["de"] == directions["zh"] == "ltr"
    assert any(attrs.get("dir") == "auto" and "lang" not in attrs for attrs in page.named("div"))  # und
    assert len(page.named("article")) == len(TEXTS)
    assert page.named("mark")


def test_page_state_stands_in_the_address(client: TestClient) -> None:
    address = "/?q=solar&lang=de&mode=dense&index=second&mode2=lexical&fair2=balanced&index2=first&view=two&k=20"
    address += "&feedback=on&feedback2=on"
    page = Tags(client.get(address).text)
    assert next(attrs["value"] for attrs in page.named("input") if attrs.get("name") == "q") == "solar"
    on = [(attrs["name"], attrs["value"]) for attrs in page.named("input") if "checked" in attrs]
    assert on == [("feedback", "on"), ("fair2", "balanced"), ("feedback2", "on"), ("lang", "de")]
    chosen = [attrs.get("value") for attrs in page.named("option") if "selected" in attrs]
    assert chosen[:5] == ["second", "dense", "first", "lexical", "two"]
    assert len(page.named("ol")) == 2
    # Words alone are searched for once, and the switch waits for another mode.
    text = " ".join(page.words)
    assert "by meaning, as the model ranks, the same in other languages too" in text
    assert "by words, every language alike " in text
    links = [link["href"] or "" for link in page.named("a") if "export" in (link["href"] or "")]
    assert len(links) == 2
    assert all("&feedback=on&" in link and "&feedback2=on&" in link for link in links)


def test_page_searches_twice_where_its_switch_is_on() -> None:
    with TestClient(create_app({"one": translated()}), base_url=BASE) as client:

        def badges(**switches: str) -> list[str]:
            address = {"q": "Flut", "view": "one", "k": 4, "mode": "dense", **switches}
            return re.findall(r'class="rank">.*?class="badge tone\d+">(..)<', client.get("/", params=address).text)

        assert badges() == badges(feedback="off") == ["de"] * 4
        assert badges(feedback="on") == ["de", "el", "tr", "fr"]
        assert badges(feedback="on", mode="lexical") == badges(mode="lexical")
        assert client.get("/", params={"feedback": "true"}).status_code == 422


def test_page_bar_counts_languages() -> None:
    with TestClient(create_app({"one": searcher(8)}), base_url=BASE) as client:
        text = client.get("/", params={"q": "solar", "lang": ["de", "zh"]}).text
    # Of 16 German and 8 Chinese passages all 24 are in the sample: the bars agree.
    assert text.count('aria-label="Languages of the top 24: German 67%, Chinese 33%"') == 1
    assert text.count('aria-label="Languages of the collection (those chosen): German 67%, Chinese 33%"') == 1


def test_page_escapes_everything(client: TestClient) -> None:
    nasty = "\"><script>alert(9)</script>'{{7*7}}"
    answer = client.get("/", params={"q": f"solar {nasty}"})
    page = Tags(answer.text)
    assert all(attrs.get("src") for attrs in page.named("script"))
    assert not page.named("img")
    assert not page.named("style")
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.found for name in attrs)
    assert all(not (attrs["href"] or "").startswith("javascript") for attrs in page.named("a"))
    assert "https://example.org/?a=1&b=2" in [attrs["href"] for attrs in page.named("a")]
    assert "<script>alert(1)</script>" in html.unescape("".join(page.words))
    assert next(a["value"] for a in page.named("input") if a.get("name") == "q") == f"solar {nasty}"
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", answer.text)


@pytest.mark.parametrize("path", ["/", "/?q=solar", "/search?q=solar", "/search", "/nope", "/static/page.css", "/api"])
def test_every_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path", ["/static/../page.py", "/static/..%2f..%2fpage.py", "/static/%2e%2e/app.py", "/static/", "/etc/passwd"]
)
def test_no_path_reaches_the_file_system(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_errors_are_pages_for_people_and_problems_for_programs(client: TestClient) -> None:
    page = client.get("/?view=three")
    assert page.status_code == 422
    assert "&#39;three&#39; is no value of view in the address; possible are: one, two." in page.text
    assert client.get("/?k=1000").status_code == client.get("/?k=-1").status_code == 422
    assert client.get("/?lang=%3Cb%3E").status_code == 422
    assert client.get("/nope").headers["content-type"].startswith("text/html")
    assert client.get("/v1/nope").json()["title"] == "Not Found"
    assert client.post("/search").status_code == 405
    assert client.post("/search").headers["allow"] == "GET"


def test_a_request_with_thousands_of_mistakes_is_answered_at_once(client: TestClient) -> None:
    body = {"model": "first", "input": "a", **{f"k{number}": 1 for number in range(20_000)}}
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].count("Extra inputs are not permitted") == 5
    answer = client.get("/search?q=a&" + "&".join(f"x{number}=1" for number in range(3000)))
    assert answer.status_code == 422
    assert answer.json()["detail"].count("there is no such parameter") == 5
    assert client.get("/?q=a&" + "lang=en&" * 3000).status_code == 200


def test_sizes_are_limited(client: TestClient) -> None:
    for path in ("/", "/search"):
        answer = client.get(f"{path}?q={'x' * 40_000}")  # the test client itself refuses megabytes
        assert answer.status_code == 414
        assert answer.json()["detail"] == "the address's query string is over 32768 bytes"
    body = json.dumps({"model": "first", "input": "x" * 1_100_000})
    assert client.post("/v1/embeddings", content=body).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    assert client.post("/v1/embeddings", content=pieces()).status_code == 413


def test_only_known_hosts_are_answered(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/", headers={"Host": "localhost:8000"}).status_code == 200


def test_embeddings_in_both_encodings(client: TestClient) -> None:
    expected = encode(["passage one", "passage two"])
    request = {"model": "first", "input": ["one", "two"]}
    answer = client.post("/v1/embeddings", json=request).json()
    assert [entry["index"] for entry in answer["data"]] == [0, 1]
    np.testing.assert_allclose([entry["embedding"] for entry in answer["data"]], expected, atol=1e-7)
    assert answer["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    assert (answer["object"], answer["data"][0]["object"], answer["model"]) == ("list", "embedding", "first")
    coded = client.post("/v1/embeddings", json=request | {"encoding_format": "base64"}).json()["data"][1]["embedding"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(coded), "<f4"), expected[1])
    query = client.post("/v1/embeddings", json={"model": "first", "input": "one", "input_type": "query"}).json()
    np.testing.assert_allclose(query["data"][0]["embedding"], encode(["query one"])[0], atol=1e-7)


@pytest.mark.parametrize(
    "request_",
    [
        {"input": "x"},
        {"model": "second", "input": "x"},  # served without its model
        {"model": "first", "input": []},
        {"model": "first", "input": [""]},
        {"model": "first", "input": [1, 2, 3]},
        {"model": "first", "input": ["x"] * 129},
        {"model": "first", "input": "x" * 20_001},
        {"model": "first", "input": "x", "encoding_format": "int8"},
        {"model": "first", "input": "x", "dimensions": 8},
        [],
    ],
)
def test_embeddings_refuse_bad_requests(client: TestClient, request_: object) -> None:
    answer = client.post("/v1/embeddings", json=request_)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert "constrained" not in answer.json()["detail"]


def test_embeddings_survive_half_characters_and_broken_json(client: TestClient) -> None:
    for body in (
        b'{"model": "first", "input": "\\ud800 x"}',
        b'{"model": "\\ud800", "input": "x"}',
        b'{"model": "first", "input": ' + b"[" * 500 + b"1" + b"]" * 500 + b"}",
        b"{",
        b"\xff",
        b"",
    ):
        answer = client.post("/v1/embeddings", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (200, 400, 422)
        answer.json()


def test_an_index_that_goes_away_is_503_and_no_trace() -> None:
    gone = searcher()

    def fail(*args: object, **kwargs: object) -> None:
        raise InputError("/secret/place: no such file")

    app = create_app({"index": gone})
    gone.search = gone.languages = fail  # type: ignore[method-assign,assignment]
    with TestClient(app, base_url=BASE) as client:
        for path in ("/?q=x", "/search?q=x", "/healthz"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert "does not answer" in html.unescape(answer.text)
            assert "secret" not in answer.text
            assert "Traceback" not in answer.text
        assert client.get("/").status_code == 200


def test_an_unforeseen_error_is_500_without_a_trace() -> None:
    broken = searcher()

    def fail(*args: object, **kwargs: object) -> None:
        raise KeyError("inside")

    app = create_app({"index": broken})
    broken.search = fail  # type: ignore[method-assign,assignment]
    with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
        assert client.get("/search?q=x").status_code == 500
        assert "inside" not in client.get("/search?q=x").text
        assert "inside" not in client.get("/?q=x").text


def test_slow_searches_time_out_and_the_queue_is_bounded() -> None:
    release, started = threading.Event(), threading.Event()

    def slow(texts: list[str]) -> np.ndarray:
        if texts == ["slow"]:
            started.set()
            release.wait(10)
        return encode(texts)

    limits = ServeSettings(seconds=0.2, threads=1, waiting=0)
    with TestClient(create_app({"index": searcher(encoder=slow)}, limits), base_url=BASE) as client:
        slow_answer = client.get("/search?q=slow")
        assert (slow_answer.status_code, slow_answer.headers["Retry-After"]) == (503, "10")
        assert started.is_set()
        # The thread is still at it: whoever comes now is sent away, at once.
        busy = client.get("/search?q=quick")
        assert busy.status_code == 503
        assert busy.headers["Retry-After"] in ("1", "10")  # its place in the queue, or the model
        assert client.get("/?q=quick").status_code == 503
        release.set()
        # The thread comes back when the slow search is done; until then a client is told to come again.
        answers = iter(lambda: client.get("/search?q=quick").status_code, 200)
        assert set(answers) <= {503}


def test_workers_open_again_after_closing() -> None:
    workers = Workers(1, 0, 1.0)
    for _ in range(2):
        assert asyncio.run(workers.run(lambda: 7)) == 7
        workers.close()


def test_health_names_what_is_served(client: TestClient) -> None:
    health = client.get("/healthz").json()
    assert health["status"] == "ok"
    assert [entry["name"] for entry in health["indexes"]] == ["first", "second"]
    assert health["indexes"][0]["passages"] == len(TEXTS)
    assert health["indexes"][0]["languages"]["en"] == 3


def test_api_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = Tags(client.get("/api").text)
    sources = [attrs.get("src") or attrs.get("href") for tag, attrs in page.found if tag in ("script", "link")]
    icon = next(source for source in sources if source and source.startswith("data:image/svg+xml,"))
    sources.remove(icon)
    assert len(sources) == 2
    assert all(source and source.startswith("./static/") for source in sources)
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
    for source in sources:
        assert client.get(source.removeprefix(".")).status_code == 200


def test_nothing_to_serve_is_refused() -> None:
    with pytest.raises(InputError, match="searchers: there is none"):
        create_app({})


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from isoglot.cli import serving

    monkeypatch.setattr(serving, "find_spec", lambda name: None if name == "uvicorn" else object())
    with pytest.raises(MissingPackageError, match=r"serving needs uvicorn: pip install 'isoglot\[serve\]'"):
        serving.require_packages()
