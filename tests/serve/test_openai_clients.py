"""`/v1/` as OpenAI's own client sees it: errors that it shows, options it sends, models it lists, tokens it makes."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("openai")

import httpx
import openai
from fastapi.testclient import TestClient

from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import DIMENSION, embed, encode, searcher


class Served:
    """An embedder with a transformer inside that was trained to be cut, and a tokenizer of ten words."""

    name = "served"

    def __init__(self, **config: object) -> None:
        words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: " ".join(words[n] for n in ids))
        tokenizer = type("Tokenizer", (SimpleNamespace,), {"__len__": lambda self: 10})(**vars(tokenizer))
        inside = SimpleNamespace(auto_model=SimpleNamespace(config=SimpleNamespace(**config)))
        self.model = type("Model", (list,), {"tokenizer": tokenizer})([inside])

    def __call__(self, texts: list[str], role: str, /) -> np.ndarray:
        return encode([f"{role} {text}" for text in texts])


@pytest.fixture(scope="module")
def web() -> Iterator[TestClient]:
    searchers = {name: searcher() for name in ("plain", "cut", "listed", "silent")}
    models = {
        "plain": embed,
        "cut": Served(is_matryoshka=True),
        "listed": Served(matryoshka_dimensions=[8, 32, 4096]),
    }
    with TestClient(create_app(searchers, embed=models), base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(scope="module")
def client(web: TestClient) -> openai.OpenAI:
    def answer(request: httpx.Request) -> httpx.Response:
        found = web.request(
            request.method, request.url.raw_path.decode(), content=request.content, headers=dict(request.headers)
        )
        return httpx.Response(found.status_code, headers=dict(found.headers), content=found.content)

    return openai.OpenAI(
        base_url="http://127.0.0.1/v1",
        api_key="none",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


def refusal(client: openai.OpenAI, **request: object) -> openai.APIStatusError:
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(**{"model": "plain", "input": "a", **request})
    return caught.value


def test_errors_are_shown_with_the_field_at_fault(client: openai.OpenAI) -> None:
    wrong = refusal(client, model="text-embedding-3-small")
    assert "there is no model 'text-embedding-3-small' here; there are: plain, cut, listed" in str(wrong)
    assert (wrong.status_code, wrong.param, wrong.code) == (422, "model", "model_not_found")
    many = refusal(client, input=["a"] * 129)
    assert many.body["message"] == "input: List should have at most 128 items after validation, not 129"
    assert (many.type, many.param) == ("invalid_request_error", "input")
    assert refusal(client, encoding_format="int8").param == "encoding_format"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nope", 404),
        ("GET", "/v1/embeddings", 405),
        ("POST", "/v1/embeddings", 422),
        ("GET", "/v1/models/x", 404),
    ],
)
def test_every_error_under_v1_has_the_shape(web: TestClient, method: str, path: str, status: int) -> None:
    answer = web.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == answer.json()["detail"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    # a name that is not ours, and a body that is too large, are refused before any route is asked
    foreign = web.request(method, path, headers={"Host": "evil.example"})
    assert "--allow-host" in foreign.json()["error"]["message"]
    large = web.post("/v1/embeddings", content=b"x" * 1_100_000)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "input: List should have at least 1 item after validation, not 0"),
        ("", "input: String should have at least 1 character"),
        (["a", ""], "input.1: String should have at least 1 character"),
        (["a", 1], "input.1: Input should be a valid string"),
        ([True], "input.0: Input should be a valid string"),
        ("a" * 20_001, "input: String should have at most 20000 characters"),
        (5, "input: Input should be a valid string; input: Input should be a valid list"),
    ],
)
def test_only_what_is_wrong_is_said(client: openai.OpenAI, given: object, said: str) -> None:
    wrong = refusal(client, extra_body={"input": given})
    assert (wrong.body["message"], wrong.param) == (said, "input")


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (
            b'{"model": "plain", "input": "a"}',
            "text/plain",
            "expected a JSON object, sent with Content-Type: application/",
        ),
        (b"", "application/json", "expected a JSON object, sent with Content-Type: application/json"),
        (b"[1]", "application/json", "expected a JSON object, sent with Content-Type: application/json"),
        (b'{"model":', "application/json", "the body is not JSON (Expecting value at character 9)"),
        (
            '{"input": "ü"}'.encode("latin-1"),
            "application/json",
            "the body cannot be read as JSON; expected a JSON object",
        ),
        (b"[" * 100_000, "application/json", "the body cannot be read as JSON; expected a JSON object in UTF-8"),
    ],
)
def test_bodies_that_are_no_json(web: TestClient, content: bytes, kind: str, said: str) -> None:
    answer = web.post("/v1/embeddings", content=content, headers={"Content-Type": kind})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"].startswith(said)


def test_programs_with_a_wrong_address_are_told_where_the_api_is(web: TestClient) -> None:
    said = "there is nothing at '/embeddings'; the API is at /v1/ and /search"
    wrong = web.post("/embeddings", json={})
    assert wrong.headers["content-type"] == "application/problem+json"
    assert (wrong.json()["error"]["message"], wrong.json()["detail"], wrong.json()["status"]) == (said, said, 404)
    assert "/v1/" in web.get("/v1", headers={"Accept": "application/json"}).json()["error"]["message"]
    assert web.get("/embeddings", headers={"Accept": "text/html,*/*"}).headers["content-type"].startswith("text/html")


def test_a_base_address_without_v1_is_shown_by_the_client(client: openai.OpenAI) -> None:
    wrong = client.with_options(base_url="http://127.0.0.1")
    with pytest.raises(openai.NotFoundError, match="the API is at /v1/ and /search") as caught:
        wrong.embeddings.create(model="plain", input="a")
    assert caught.value.body["code"] == "not_found"


def test_null_options_are_as_if_left_out(client: openai.OpenAI) -> None:
    nulls = {"dimensions": None, "encoding_format": None, "input_type": None, "user": None}
    found = client.embeddings.create(model="plain", input="one", extra_body=nulls).data[0].embedding
    np.testing.assert_allclose(found, encode(["passage one"])[0], atol=1e-7)


def test_dimensions(client: openai.OpenAI) -> None:
    whole = encode(["passage one two"])[0]
    for model in ("plain", "cut", "listed"):
        found = client.embeddings.create(model=model, input="one two", dimensions=DIMENSION).data[0].embedding
        np.testing.assert_allclose(found, whole, atol=1e-7)
    cut = encode(["passage one two three four five"])[0][:32]
    for model in ("cut", "listed"):
        short = client.embeddings.create(model=model, input="one two three four five", dimensions=32).data[0].embedding
        np.testing.assert_allclose(short, cut / np.linalg.norm(cut), atol=1e-6)
    assert "the vectors of 'plain' have 64, not 32" in str(refusal(client, dimensions=32))
    assert "have 8, 32, 64, not 16" in str(refusal(client, model="listed", dimensions=16))
    assert "have 1 to 64, not 65" in str(refusal(client, model="cut", dimensions=65))
    assert (refusal(client, dimensions=0).status_code, refusal(client, dimensions=0).param) == (422, "dimensions")


def test_token_ids_are_refused_unless_they_are_the_models_own(client: openai.OpenAI) -> None:
    for ids in ([1, 2], [[1, 2], [3]]):
        message = str(refusal(client, model="cut", input=ids))
        assert "send texts (check_embedding_ctx_length=False in LangChain)" in message
    own = {"tokenizer": "model"}
    found = client.embeddings.create(model="cut", input=[[1, 2], [3]], extra_body=own).data
    for entry, text in zip(found, ("one two", "three"), strict=True):
        np.testing.assert_allclose(entry.embedding, encode([f"passage {text}"])[0], atol=1e-7)
    single = client.embeddings.create(model="cut", input=[1, 2], extra_body=own).data
    assert len(single) == 1
    assert "does not have" in str(refusal(client, model="cut", input=[10], extra_body=own))
    assert "has no tokenizer" in str(refusal(client, input=[1], extra_body=own))
    assert "128" in str(refusal(client, model="cut", input=[[1]] * 129, extra_body=own))


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["plain", "cut", "listed"]
    assert client.models.retrieve("cut").id == "cut"
    with pytest.raises(openai.NotFoundError, match="there is no model 'x' here"):
        client.models.retrieve("x")


def test_unavailable_models_are_server_errors() -> None:
    def failing(texts: list[str], role: str) -> np.ndarray:
        raise RuntimeError("/secret/model is gone")

    app = create_app({"one": searcher()}, ServeSettings(), embed={"one": failing})
    with TestClient(app, base_url="http://127.0.0.1") as web:
        answer = web.post("/v1/embeddings", json={"model": "one", "input": "a"})
    assert answer.status_code == 503
    assert (answer.json()["error"]["type"], answer.json()["error"]["code"]) == ("server_error", "unavailable")
    assert "secret" not in answer.text
