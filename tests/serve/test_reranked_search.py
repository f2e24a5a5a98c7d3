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

from isoglot.cli import run
from isoglot.cli.serving import _judges, require_tokens
from isoglot.client import Client
from isoglot.core.errors import InputError
from isoglot.encoders.encoder_process import EncoderProcess
from isoglot.encoders.late_interaction import LateInteraction
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.quantised_tokens import quantise_tokens
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.searcher import Searcher
from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import embed, passages, searcher

BASE = "http://127.0.0.1"


class Longest:
    """Scores by length; of German texts it is fonder."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([len(text) + 500 * ("Mond" in text or "Licht" in text) for _, text in pairs], np.float32)


class Broken:
    """Fails as a model does whose file is gone."""

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        raise OSError("/secret/model is gone")


class Unsure:
    """Gives no number for a text. Empty, and so false, as a model of no layers is."""

    def __len__(self) -> int:
        return 0

    def predict(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([np.nan] * len(pairs))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    judges = {"longest": Longest(), "broken": Broken(), "unsure": Unsure()}
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
    more = {
        "q": "solar",
        "k": 3,
        "rerank": "longest",
        "fair": "balanced",
        "mode": "hybrid",
        "offset": 1,
        "lang": ["en", "de"],
    }
    answer = client.get("/search", params=more).json()
    own = searcher().search(
        "solar", k=3, rerank=Longest(), fair="balanced", mode="hybrid", offset=1, langs=["en", "de"]
    )
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in own]
    assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit.score for hit in own])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rerank": "gone"}, "rerank: there is no re-ranker 'gone'; there are: longest, broken, unsure"),
        ({"rerank": "late"}, "there is no re-ranker 'late'"),
        ({"rerank": "longest", "offset": "45"}, "only the 50 best are re-ranked"),
        ({"rerank": "x" * 3000}, "rerank"),
    ],
)
def test_what_cannot_be_is_named(client: TestClient, asked: dict[str, str], said: str) -> None:
    answer = client.get("/search", params={"q": "solar", **asked})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_a_server_without_any_says_so() -> None:
    with TestClient(create_app({"index": searcher()}), base_url=BASE) as client:
        answer = client.get("/search", params={"q": "solar", "rerank": "late"})
        assert (answer.status_code, "started without any" in answer.json()["detail"]) == (422, True)


def test_a_judge_that_fails_is_no_crash_and_keeps_its_secrets(client: TestClient) -> None:
    for name in ("broken", "unsure"):
        answer = client.get("/search", params={"q": "solar", "rerank": name, "fair": "balanced"})
        assert answer.status_code == 503
        assert f"the model '{name}'" in answer.json()["detail"]
        assert "secret" not in answer.text


def test_the_document_names_what_there_is(client: TestClient) -> None:
    (parameter,) = (
        one
        for one in client.get("/openapi.json").json()["paths"]["/search"]["get"]["parameters"]
        if one["name"] == "rerank"
    )
    assert parameter["schema"]["anyOf"][0]["enum"] == ["longest", "broken", "unsure"]


def test_a_server_without_any_names_none() -> None:
    with TestClient(create_app({"index": searcher()}, judges={"late": Longest()}), base_url=BASE) as client:
        assert client.get("/search", params={"q": "solar"}).json()["hits"][0]["parts"].keys() == {"dense"}
        parameters = client.get("/openapi.json").json()["paths"]["/search"]["get"]["parameters"]
        (parameter,) = (one for one in parameters if one["name"] == "rerank")
        assert parameter["schema"]["anyOf"][0]["not"] == {}


@pytest.fixture(scope="module")
def apart(tiny_model: Path) -> Iterator[EncoderProcess]:
    apart = EncoderProcess(partial(open_embedder, str(tiny_model)))
    yield apart
    apart.close()


def test_tokens_are_compared_where_the_encoder_is(apart: EncoderProcess, tiny_model: Path) -> None:
    texts = [passage.text for passage in passages()]
    own = LateInteraction(open_embedder(str(tiny_model)))
    for query in ("solar panel", "Mond"):
        np.testing.assert_allclose(apart.late(query, texts), own.late(query, texts), atol=1e-3)
    assert apart.late("solar", []).shape == (0,)
    kept = quantise_tokens(open_embedder(str(tiny_model)).encoded_tokens(texts, "passage"))
    np.testing.assert_allclose(apart.late_of("Mond", kept), own.late("Mond", texts), atol=1e-2)
    assert apart.late_of("solar", []).shape == (0,)


def test_late_searches_of_an_encoder_in_its_own_process(apart: EncoderProcess, tiny_model: Path) -> None:
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


def test_judges_are_called_by_the_last_part_of_their_path(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(tiny_model)
    assert list(_judges(["late", model, f"late:{model}"])) == [tiny_model.name, f"late:{tiny_model.name}"]
    monkeypatch.chdir(tiny_model)
    assert list(_judges(["."])) == [tiny_model.name]
    with pytest.raises(InputError, match=rf"--rerank \.: another model is also called '{tiny_model.name}'"):
        _judges([model, "."])


def test_what_the_command_cannot_rerank_by_is_named(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "late").symlink_to(tiny_model)
    (tmp_path / "of").mkdir()
    (tmp_path / "of" / "none").symlink_to(tiny_model)
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "lang": "en", "text": "solar panel"}\n', encoding="utf-8")
    index = str(tmp_path / "index")
    assert run(["index", str(tmp_path / "rows.jsonl"), "--model", str(tiny_model), "-o", index]) == 0
    for model, said in (
        (str(tmp_path / "none"), f"--rerank {tmp_path / 'none'}: "),
        (str(tmp_path / "late"), "`late` is the index's own model"),
        (str(tmp_path / "of" / "none"), "'none' means no re-ranking"),
    ):
        assert run(["serve", index, "--port", "0", "--rerank", model]) == 2
        assert said in capsys.readouterr().err


def test_an_encoder_without_tokens_is_refused_before_anything_is_served() -> None:
    with pytest.raises(InputError, match="--rerank late: my-index: late interaction compares tokens"):
        require_tokens(embed, "my-index")
