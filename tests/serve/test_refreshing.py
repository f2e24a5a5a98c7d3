"""A server follows the versions of its index, and drops no request while it changes."""

from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("lancedb")

from fastapi.testclient import TestClient

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoded, Role
from isoglot.search.index.about import About
from isoglot.search.index.building import build_index
from isoglot.search.index.versions import prune
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.refreshing import Follower, refreshed
from isoglot.serve.search_request import Ask
from isoglot.serve.served import Collection, UnavailableError
from isoglot.serve.settings import ServeSettings
from support.rows import write_jsonl
from support.serving import DIMENSION, embed


def build(home: Path, version: int, lang: str) -> None:
    docs = [{"id": "only", "text": f"solar version{version}", "lang": lang}]
    folder = home / "index"
    folder.mkdir(exist_ok=True)
    build_index(
        [write_jsonl(home / f"{version}.jsonl", docs)], folder, embed, name="words", update=version > 1, by_id=True
    )


def test_new_versions_are_served_while_requests_go_on(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    searcher = Searcher.open(tmp_path / "index", embed)
    app = create_app({"index": searcher}, ServeSettings(refresh=0.02))
    seen: list[tuple[int, str]] = []
    stop, changed = threading.Event(), threading.Event()
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/openapi.json").text.count('"enum":["de"]') == 2  # of /search and of /similar

        def ask() -> None:
            while not stop.is_set():
                answer = client.get("/search?q=solar&k=1")
                seen.append((answer.status_code, answer.json()["hits"][0]["text"]))
                if seen[-1][1] == "solar version2":
                    changed.set()

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            build(tmp_path, 2, "fr")
            assert changed.wait(20)
        finally:
            stop.set()
            asking.join(20)
        texts = [text for _, text in seen]
        assert {status for status, _ in seen} == {200}
        assert texts == sorted(texts)
        assert texts[-1] == "solar version2"
        assert client.get("/readyz").json()["indexes"][0]["languages"] == {"fr": 1}
        assert client.get("/search?q=solar&lang=fr").json()["hits"][0]["lang"] == "fr"
        assert client.get("/search?q=solar&lang=de").status_code == 422
        assert "French" in client.get("/").text
        assert client.get("/openapi.json").text.count('"enum":["fr"]') == 2
        assert 'isoglot_index_version{index="index"} 2.0' in client.get("/metrics").text


def test_what_cannot_be_opened_leaves_what_was(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    collection = Collection("index", Searcher.open(tmp_path / "index", embed))
    assert not refreshed(collection)
    manifest = next((tmp_path / "index").glob("*.json"))
    whole = manifest.read_text()
    manifest.write_text(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated"):
        refreshed(collection)
    assert collection.ask(Ask(query="solar", k=1)).hits[0].text == "solar version1"
    manifest.write_text(whole)
    assert not refreshed(collection)


def test_versions_beside_the_one_that_is_served_come_and_go(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    build(tmp_path, 2, "fr")
    collection = Collection("index", Searcher.open(tmp_path / "index", embed))
    served = collection.searcher
    assert prune(tmp_path / "index", 1).removed == [1]
    assert not refreshed(collection)
    assert collection.searcher is served
    build(tmp_path, 3, "de")
    assert refreshed(collection)
    assert collection.ask(Ask(query="solar", k=1)).hits[0].text == "solar version3"


def replaced(home: Path, lang: str = "fr") -> None:
    docs = [{"id": "only", "text": "solar new", "lang": lang}]
    build_index([write_jsonl(home / "new.jsonl", docs)], home / "index", embed, name="words", overwrite=True)


@pytest.mark.parametrize(
    "path", ["/search?q=solar&mode=lexical", "/search?q=solar&facets=lang", "/?q=solar", "/readyz"]
)
def test_a_replaced_index_is_opened_by_the_first_request_that_needs_it(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A probe waits so long for its check, which opens the index, and a busy machine may take longer than it does else.
    monkeypatch.setattr("isoglot.serve.readiness._PATIENCE", 60)
    build(tmp_path, 1, "de")
    app = create_app({"index": Searcher.open(tmp_path / "index", embed)}, ServeSettings(refresh=3600))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert "de" in client.get("/openapi.json").text
        replaced(tmp_path)
        answer = client.get(path)
        assert answer.status_code == 200
        if path.startswith("/search"):
            assert [hit["text"] for hit in answer.json()["hits"]] == ["solar new"]
        assert client.get("/search?q=solar&lang=fr").json()["hits"][0]["text"] == "solar new"
        assert '"enum":["fr"]' in client.get("/openapi.json").text


def test_requests_wait_while_folders_change_places(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    collection = Collection("index", Searcher.open(tmp_path / "index", embed))
    follower = Follower(collection, lambda: None)
    aside = tmp_path / "aside"
    replaced(tmp_path)
    (tmp_path / "index").rename(aside)
    back = threading.Timer(0.02, aside.rename, [tmp_path / "index"])
    back.start()
    assert collection.ask(Ask(query="solar", k=1, mode="lexical")).hits[0].text == "solar new"
    back.join()
    assert not follower.look()


def test_an_index_that_is_gone_is_looked_for_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(tmp_path, 1, "de")
    collection = Collection("index", Searcher.open(tmp_path / "index", embed))
    follower, looks = Follower(collection, lambda: None), []
    monkeypatch.setattr(follower, "look", lambda: looks.append(1))
    (tmp_path / "index").rename(tmp_path / "aside")
    for _ in range(5):
        with pytest.raises(UnavailableError):
            collection.ask(Ask(query="solar", k=1, mode="lexical"))
    assert len(looks) == 2


class Letters:
    """Another model than `embed`, of other dimensions."""

    name = "letters"
    device = "cpu"

    def __call__(self, texts: list[str], role: Role) -> np.ndarray:
        return np.array([[text.count("s") + 1.0, text.count("o"), len(text)] for text in texts], np.float32)

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        vectors = self(texts, role)
        return Encoded(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), len(texts), 0, 0.0)


class Words(type(embed)):  # type: ignore[misc]
    """The model that indexes are made with at first, as an object that can go."""


def opener(about: About) -> Words | Letters:
    return {"words": Words, "letters": Letters}[about.model]()


def remade(home: Path) -> None:
    docs = [{"id": "only", "text": "solar letters", "lang": "fr"}]
    build_index([write_jsonl(home / "new.jsonl", docs)], home / "index", Letters(), name="letters", overwrite=True)


def test_the_model_of_an_index_made_anew_is_opened_where_none_was_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path, 1, "de")
    searcher = Searcher.open(tmp_path / "index", opener=opener)
    app = create_app({"index": searcher}, ServeSettings(refresh=0.02), embed={"index": searcher.encoder})
    before = weakref.ref(searcher.encoder)
    del searcher
    body = {"model": "index", "input": "solar"}
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/search?q=solar").json()["model"] == "words"
        assert len(client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]) == DIMENSION
        assert f'"enum":[{DIMENSION}]' in client.get("/openapi.json").text
        remade(tmp_path)
        answer = client.get("/search?q=solar&mode=hybrid")
        assert (answer.status_code, answer.json()["model"]) == (200, "letters")
        assert client.get("/search?q=solar").json()["hits"][0]["text"] == "solar letters"
        assert len(client.post("/v1/embeddings", json=body).json()["data"][0]["embedding"]) == 3
        assert client.post("/v1/embeddings", json={**body, "dimensions": DIMENSION}).status_code == 422
        assert '"enum":[3]' in client.get("/openapi.json").text
        assert client.get("/readyz").json()["indexes"][0]["model"] == "letters"
        assert 'isoglot_index_behind{index="index"} 0.0' in client.get("/metrics").text
    assert "index: version 1 is served now, with the model letters" in caplog.text
    for handler in logging.getLogger().handlers:  # pytest's own: errors that are kept hold what raised them
        getattr(handler, "records", []).clear()
    gc.collect()
    assert before() is None


def test_a_model_that_was_given_is_kept_to_and_what_it_cannot_search_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path, 1, "de")
    app = create_app({"index": Searcher.open(tmp_path / "index", embed)}, ServeSettings(refresh=0.02))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert 'isoglot_index_behind{index="index"} 0.0' in client.get("/metrics").text
        assert client.get("/search?q=solar").status_code == 200
        remade(tmp_path)
        assert client.get("/search?q=solar&mode=lexical").status_code == 503
        assert client.get("/readyz").status_code == 503
        assert 'isoglot_index_behind{index="index"} 1.0' in client.get("/metrics").text
        said = (
            "a new version cannot be opened, the old one is still served: "
            "the model given: gives vectors of 64 dimensions"
        )
        assert caplog.text.count(said) == 1
        replaced(tmp_path)
        end = time.monotonic() + 20
        while client.get("/search?q=solar&mode=lexical").status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert 'isoglot_index_behind{index="index"} 0.0' in client.get("/metrics").text


def test_a_model_under_the_same_name_is_opened_anew_where_it_gives_other_vectors(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    opened: list[str] = []

    def told(about: About) -> Words | Letters:
        opened.append(about.model)
        return opener(about)

    first = Searcher.open(tmp_path / "index", opener=told)
    replaced(tmp_path)
    second = first.renewed()
    replaced(tmp_path, "it")
    assert second is not None
    first.warm()
    third = second.renewed()
    assert third is not None
    third.warm()
    assert opened == ["words", "words"]  # nothing had been opened when the second one was
    remade(tmp_path)
    fourth = third.renewed()
    assert fourth is not None
    assert fourth.open_encoder is None
    assert [hit.text for hit in fourth.search("solar")] == ["solar letters"]
    assert opened == ["words", "words", "letters"]
    assert fourth.open_encoder is not None
    assert (fourth.model_name, fourth.renewed()) == ("letters", None)


def test_a_vector_of_the_model_before_is_not_compared_with_passages_of_another(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    collection = Collection("index", Searcher.open(tmp_path / "index", opener=opener))
    before, vector = collection.opened, collection.vectors(["solar"])[0]
    remade(tmp_path)
    assert refreshed(collection)
    assert collection.ask(Ask(query="solar", k=1), vector, before).hits[0].text == "solar letters"


def test_what_takes_long_to_fail_is_not_tried_again_at_once(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    looks: list[float] = []

    def slow(about: About) -> Words:
        if looks:
            time.sleep(0.05)
            raise InputError("no such model")
        return Words()

    collection = Collection("index", Searcher.open(tmp_path / "index", opener=slow))
    collection.searcher.warm()
    follower = Follower(collection, lambda: None)
    remade(tmp_path)
    looks.append(1)
    renewed, tried = collection.searcher.renewed, []
    collection.searcher.renewed = lambda: tried.append(1) or renewed()  # type: ignore[method-assign]
    assert not follower.look()
    assert not follower.look()
    assert len(tried) == 1
    assert collection.behind


def test_without_following_a_replaced_index_does_not_answer(tmp_path: Path) -> None:
    build(tmp_path, 1, "de")
    with TestClient(
        create_app({"index": Searcher.open(tmp_path / "index", embed)}), base_url="http://127.0.0.1"
    ) as web:
        replaced(tmp_path)
        assert web.get("/search?q=solar&mode=lexical").status_code == 503
