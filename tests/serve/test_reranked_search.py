"""`/search?rerank=...`: the best of a search by a judge's scores, or by the tokens of the index's own model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.client import Client
from isoglot.encoders.apart import Apart
from isoglot.encoders.late_interaction import LateInteraction
from isoglot.encoders.opening import open_embedder
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import passages, searcher

BASE = "http://127.0.0.1"


class Longest:
    """Scores by length; of German texts it is fonder."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([len(text) + 500 * ("Mond" in text or "Licht" in text) for _, text in pairs], np.float32)


class Broken:
    """Fails as a model does whose file is gone."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        raise OSError("/secret/model is gone")


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    judges = {"longest": Longest(), "broken": Broken()}
    with TestClient(create_app({"index": searcher()}, judges=judges), base_url=BASE) as client:
        yield client


def test_a_judge_has_the_last_word(client: TestClient) -> None:
    plain = client.get("/search", params={"q": "solar", "k": 5}).json()
    assert plain["rerank"] is None
    answer = client.get("/search", params={"q": "solar", "k": 5, "rerank": "longest"}).json()
    assert answer["rerank"] == "longest"
    own = searcher().search("solar", k=5, rerank=Longest())
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in own]
    assert [hit["score"] for hit in answer["hits"]] == [hit["parts"]["rerank"] for hit in answer["hits"]]
    assert [hit["id"] for hit in answer["hits"]] != [hit["id"] for hit in plain["hits"]]


def test_it_goes_with_all_else_that_is_asked(client: TestClient) -> None:
    more = {"q": "solar", "k": 4, "rerank": "longest", "fair": "balanced", "mode": "hybrid", "offset": 1, "lang": "en"}
    answer = client.get("/search", params=more).json()
    own = searcher().search("solar", k=4, rerank=Longest(), fair="balanced", mode="hybrid", offset=1, langs=["en"])
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in own]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in own])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rerank": "gone"}, "rerank: there is no 'gone'; there are: longest, broken"),
        ({"rerank": "late"}, "there is no 'late'"),
        ({"rerank": "longest", "offset": "45"}, "only the 50 best are re-ranked"),
        ({"rerank": "x" * 3000}, "rerank"),
    ],
)
def test_what_cannot_be_is_named(client: TestClient, asked: dict[str, str], said: str) -> None:
    answer = client.get("/search", params={"q": "solar", **asked})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_server_without_any_says_how_to_start_it() -> None:
    with TestClient(create_app({"index": searcher()}), base_url=BASE) as client:
        answer = client.get("/search", params={"q": "solar", "rerank": "late"})
        assert (answer.status_code, "start it with --rerank" in answer.json()["detail"]) == (422, True)


def test_a_judge_that_fails_is_no_crash_and_keeps_its_secrets(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "solar", "rerank": "broken"})
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_the_document_names_what_there_is(client: TestClient) -> None:
    (parameter,) = (
        one
        for one in client.get("/openapi.json").json()["paths"]["/search"]["get"]["parameters"]
        if one["name"] == "rerank"
    )
    assert parameter["schema"]["anyOf"][0]["enum"] == ["longest", "broken"]


@pytest.fixture(scope="module")
def apart(tiny_model: Path) -> Iterator[Apart]:
    apart = Apart(partial(open_embedder, str(tiny_model)))
    yield apart
    apart.close()


def test_tokens_are_compared_where_the_encoder_is(apart: Apart, tiny_model: Path) -> None:
    texts = [passage.text for passage in passages()]
    own = LateInteraction(open_embedder(str(tiny_model)))
    for query in ("solar panel", "Mond"):
        np.testing.assert_allclose(apart.late(query, texts), own.late(query, texts), atol=1e-3)
    assert apart.late("solar", []).shape == (0,)


def test_late_searches_of_an_encoder_in_its_own_process(apart: Apart, tiny_model: Path) -> None:
    held = passages()
    index = MemoryIndex(held, apart([f"{one.title} {one.text}".strip() for one in held], "passage"))
    here = Searcher(index, open_embedder(str(tiny_model)), model_name="tiny")
    expected = here.search("solar panel", k=5, rerank="late", feedback=True)
    limits = ServeSettings(late=True)
    with TestClient(create_app({"index": Searcher(index, apart, model_name="tiny")}, limits), base_url=BASE) as server:

        def answer(request: httpx.Request) -> httpx.Response:
            got = server.get(str(request.url))
            return httpx.Response(got.status_code, content=got.content)

        with Client(BASE, transport=httpx.MockTransport(answer)) as client:
            hits = client.search("solar panel", k=5, rerank="late", feedback=True)
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=2e-3)
    here.close()
