"""What goes wrong around a server is answered, said in its log, and over when its cause is."""

from __future__ import annotations

import asyncio
import io
import logging
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.logs import start_logging
from isoglot.serve.search_request import Ask
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings
from support.rows import write_jsonl
from support.serving import embed, encode, searcher

BASE = "http://127.0.0.1"


class Hanging:
    """An encoder that stops at one query until it is let go."""

    def __init__(self) -> None:
        self.go, self.at_work = threading.Event(), threading.Event()

    def __call__(self, texts: list[str]) -> np.ndarray:
        if "hang" in texts:
            self.at_work.set()
            assert self.go.wait(30)
        return encode(texts)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    encoder = Hanging()
    yield encoder
    encoder.go.set()


def test_a_model_that_hangs_is_503_at_once_and_over_when_it_is_over(hanging: Hanging) -> None:
    limits = ServeSettings(seconds=0.2, threads=2, waiting=4)
    with TestClient(create_app({"index": searcher(encoder=hanging)}, limits), base_url=BASE) as client:
        first = client.get("/search?q=hang")
        assert (first.status_code, first.headers["Retry-After"]) == (503, "10")
        assert "the model of 'index' does not answer in time" in first.json()["detail"]
        # Nobody after it waits, however many there are: nothing is queued behind the model.
        for path in ["/search?q=solar", "/?q=solar", "/export.csv?q=solar"] * 10:
            assert client.get(path).status_code == 503
        assert "Das Modell von &#39;index&#39;" in client.get("/?q=solar&ui=de").text
        # What needs no model is served, and the server says that it is up.
        assert client.get("/search?q=solar&mode=lexical").status_code == 200
        assert client.get("/livez").status_code == 200
        assert client.get("/").status_code == 200
        hanging.go.set()
        until_answered(client, "/search?q=solar")
        assert client.get("/readyz").status_code == 200


def test_a_probe_says_when_its_own_check_hangs(hanging: Hanging) -> None:
    slow = searcher(encoder=lambda texts: hanging(["hang" for _ in texts]))
    with TestClient(create_app({"index": slow}, ServeSettings(seconds=0.1)), base_url=BASE) as client:
        assert client.get("/readyz").status_code == 200  # it answered when it was opened
        assert hanging.at_work.wait(10)
        for _ in range(1000):
            if client.get("/readyz").status_code == 503:
                break
        else:
            pytest.fail("it never said so")
        assert "takes more than 0.1 seconds" in client.get("/readyz").json()["detail"]
        assert client.get("/livez").status_code == 200
        hanging.go.set()
        until_answered(client, "/readyz")


def until_answered(client: TestClient, path: str) -> None:
    for _ in range(1000):
        if client.get(path).status_code == 200:
            return
    pytest.fail(f"{path} is not answered any more")


def test_of_many_at_once_everyone_gets_their_own_answer() -> None:
    count = 200
    passages = [Passage(f"p{n}", f"p{n}", f"number{n}", "en") for n in range(count)]
    vectors = np.eye(count, dtype=np.float32)
    together: list[int] = []

    def numbered(texts: list[str], role: str) -> np.ndarray:
        together.append(len(texts))
        return np.array([vectors[int(text.removeprefix("number"))] for text in texts])

    found = Searcher(MemoryIndex(passages, vectors), numbered)
    app = create_app({"index": found}, ServeSettings(threads=4, waiting=2 * count))
    httpx = pytest.importorskip("httpx")

    async def ask() -> list[tuple[int, str, str]]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:

            async def one(n: int) -> tuple[int, str, str]:
                page = n % 3 == 0
                view = {"view": "one"} if page else {}
                answer = await client.get("/" if page else "/search", params={"q": f"number{n}", "k": 1} | view)
                if page:
                    return (
                        n,
                        answer.text.split('<p class="text"><mark>')[1].split("<")[0].removeprefix("number"),
                        "page",
                    )
                return n, answer.json()["hits"][0]["id"].removeprefix("p"), answer.json()["query"]

            return await asyncio.gather(*(one(n) for n in range(count)))

    answers = asyncio.run(ask())
    assert [(n, str(n)) for n in range(count)] == [(n, got) for n, got, _ in answers]
    assert all(said in ("page", f"number{n}") for n, _, said in answers)
    assert max(together) > 1  # they did go together


def build(home: Path, version: int, *, update: bool = False) -> Path:
    pytest.importorskip("lancedb")
    from isoglot.search.index.building import build_index

    docs = [{"id": "only", "text": f"solar version{version}", "lang": "en"}]
    rows = write_jsonl(home / f"{version}.jsonl", docs)
    folder = home / "index"
    folder.mkdir(exist_ok=True)
    build_index([rows], folder, embed, name="words", update=update)
    return folder


def test_an_index_that_is_removed_or_replaced_while_it_is_served(tmp_path: Path) -> None:
    folder = build(tmp_path, 1)
    collection = Searcher.open(folder, embed)
    with TestClient(create_app({"index": collection}), base_url=BASE) as client:
        assert client.get("/search?q=solar").json()["hits"][0]["text"] == "solar version1"
        shutil.rmtree(folder)
        gone = client.get("/search?q=version1&mode=hybrid")
        # Whatever is still in memory may answer; what is not is said, and nothing breaks.
        assert gone.status_code in (200, 503)
        assert client.get("/livez").status_code == 200
        build(tmp_path, 2)
        replaced = client.get("/search?q=solar")
        # What is open may go on to answer; the index in its place never does in its name.
        assert replaced.status_code in (200, 503)
        if replaced.status_code == 503:
            assert "start the server again" in replaced.json()["detail"]
            assert replaced.headers["Retry-After"] == "10"
        else:
            assert replaced.json()["hits"][0]["text"] == "solar version1"


def test_an_index_that_is_put_in_the_place_of_another_is_followed(tmp_path: Path) -> None:
    from isoglot.serve.refreshing import refreshed

    folder = build(tmp_path, 1)
    collection = Collection("index", Searcher.open(folder, embed))
    shutil.rmtree(folder)
    build(tmp_path, 2)
    assert refreshed(collection)
    assert collection.ask(Ask(query="solar", k=1)).hits[0].text == "solar version2"


class Full(io.TextIOBase):
    """A disk without room."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_under_the_log_stops_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    loggers = [logging.getLogger(name) for name in ("isoglot", "uvicorn")]
    before = [(logger.handlers, logger.level, logger.propagate) for logger in loggers]
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", Full())
        start_logging("json")
        try:
            with TestClient(create_app({"index": searcher()}), base_url=BASE) as client:
                for path in ("/search?q=solar", "/?q=solar", "/nope", "/search?k=0"):
                    assert client.get(path).status_code in (200, 404, 422)
        finally:
            for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
                logger.handlers, logger.level, logger.propagate = handlers, level, propagate
