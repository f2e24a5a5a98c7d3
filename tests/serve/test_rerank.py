"""`/v1/rerank`: the order by cosine and by a cross-encoder, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import embed, searcher

BASE = "http://127.0.0.1"
TEXTS = ["bread is baked", "the tide follows the moon", "the moon", "bread is baked"]


class Longest:
    """Scores by length, so that the order is plain to see."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([len(query) + len(text) for query, text in pairs], np.float32)


class Classes:
    """A model for another task: three scores a pair."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.zeros((len(pairs), 3))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = create_app({"index": searcher()}, embed={"index": embed}, judges={"longest": Longest(), "classes": Classes()})
    with TestClient(app, base_url=BASE) as client:
        yield client


def ask(client: TestClient, **body: object) -> dict:
    answer = client.post("/v1/rerank", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_by_cosine_of_the_encoder(client: TestClient) -> None:
    answer = ask(client, model="index", query="moon tide", documents=TEXTS)
    cosines = embed(TEXTS, "passage") @ embed(["moon tide"], "query")[0]
    assert [entry["index"] for entry in answer["results"]] == np.argsort(-cosines, kind="stable").tolist()
    for entry in answer["results"]:
        assert entry == {"index": entry["index"], "relevance_score": pytest.approx(float(cosines[entry["index"]]))}
    assert answer["usage"] == {"total_tokens": len("moon tide") + sum(map(len, TEXTS))}


def test_by_a_cross_encoder_which_comes_first(client: TestClient) -> None:
    answer = ask(client, query="q", documents=[{"text": "a"}, "abc", "ab", "xyz"], top_n=3, return_documents=True)
    assert answer["model"] == "longest"
    assert "usage" not in answer
    assert answer["results"] == [
        {"index": 1, "relevance_score": 4.0, "document": {"text": "abc"}},
        {"index": 3, "relevance_score": 4.0, "document": {"text": "xyz"}},
        {"index": 2, "relevance_score": 3.0, "document": {"text": "ab"}},
    ]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "", "documents": ["a"]}, "query"),
        ({"query": " \n", "documents": ["a"]}, "query: has nothing but spaces"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
        ({"query": "q", "documents": ["a"], "model": "gone"}, "there are: longest, classes, index"),
        ({"query": "q", "documents": [3]}, "documents"),
        ({"query": "q", "documents": ["a"], "topn": 1}, "topn"),
        ({"query": "q", "documents": ["a"] * 1001}, "1000"),
    ],
)
def test_what_cannot_be_is_named(client: TestClient, body: dict[str, object], said: str) -> None:
    answer = client.post("/v1/rerank", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


def test_a_model_of_another_task_is_no_crash(client: TestClient) -> None:
    answer = client.post("/v1/rerank", json={"query": "q", "documents": ["a", "b"], "model": "classes"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")


def test_a_server_without_models_has_no_such_route() -> None:
    with TestClient(create_app({"index": searcher()}, ServeSettings()), base_url=BASE) as client:
        assert client.post("/v1/rerank", json={"query": "q", "documents": ["a"]}).status_code == 404
