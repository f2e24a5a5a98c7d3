"""Embedding endpoints, against a local server that misbehaves on purpose."""

import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

pytest.importorskip("httpx")

import contextlib

from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.endpoint import Endpoint, open_endpoint
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import open_like
from isoglot.serve.encoders import SharedEncoders

WIDTH = 4


def embedding(text):
    """A vector that depends on the text alone."""
    return np.random.default_rng(sum(text.encode())).standard_normal(WIDTH).tolist()


def unit(texts):
    vectors = np.array([embedding(text) for text in texts])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Server(ThreadingHTTPServer):
    """Answers like an embedding API; `faults` are taken one a request, then it behaves."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.batches, self.headers_seen = [], [], []
        self.closing = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.batches.append(body["input"])
        self.server.headers_seen.append(self.headers.get("authorization"))
        data = [{"index": n, "embedding": embedding(text)} for n, text in enumerate(body["input"])]
        status, headers, content = 200, {}, None
        fault = self.server.faults.pop(0) if self.server.faults else None
        if fault == "429":
            status, headers = 429, {"retry-after": "7"}
        elif fault == "500":
            status = 500
        elif fault == "401":
            status, content = 401, b'{"error": "no such key"}'
        elif fault == "slow":
            self.server.closing.wait(60)  # longer than anyone waits for it
        elif fault == "drop":
            self.connection.close()
            return
        elif fault == "truncated":
            content = json.dumps({"data": data}).encode()[:-20]
        elif fault == "narrow":
            data = [{**entry, "embedding": entry["embedding"][:-1]} for entry in data]
        elif fault == "missing":
            data = data[:-1]
        elif fault == "twice":
            data = [{**entry, "index": 0} for entry in data]
        elif fault == "nan":
            data[0]["embedding"][0] = float("nan")
        elif fault == "zero":
            data[0]["embedding"] = [0.0] * WIDTH
        elif fault == "words":
            data[0]["embedding"] = ["a"] * WIDTH
        elif fault == "reversed":
            data = data[::-1]
        elif fault == "list":
            content = b"[1, 2]"
        content = json.dumps({"data": data}).encode() if content is None else content
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(content)


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def endpoint(server, tmp_path, waits):
    return Endpoint(server.url, "m", tmp_path / "cache.sqlite", batch_size=2, timeout=0.3, tries=4, sleep=waits.append)


TEXTS = ["eins", "zwei", "drei", "eins", "vier"]


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "slow", "drop", "truncated", "missing", "twice", "nan", "zero", "words", "reversed", "list"],
)
def test_faults_that_pass_do_not_change_the_vectors(endpoint, server, fault):
    server.faults = [fault]
    np.testing.assert_allclose(endpoint(TEXTS, "query"), unit(TEXTS), atol=1e-6)


def test_each_distinct_text_is_sent_once_and_never_again(endpoint, server, tmp_path):
    endpoint(TEXTS, "query")
    assert server.batches == [["eins", "zwei"], ["drei", "vier"]]
    again = Endpoint(server.url, "m", tmp_path / "cache.sqlite")
    np.testing.assert_allclose(again(TEXTS[::-1], "passage"), unit(TEXTS[::-1]), atol=1e-6)
    assert len(server.batches) == 2
    Endpoint(server.url, "other", tmp_path / "cache.sqlite")(["eins"], "query")
    assert server.batches[2:] == [["eins"]]


def test_a_failed_run_goes_on_where_it_was(endpoint, server):
    server.faults = [None, "500", "500", "500", "500"]
    with pytest.raises(IsoglotError, match=r"status 500 \(4 tries\).*run the same command again") as raised:
        endpoint(TEXTS, "query")
    assert raised.value.exit_code == 1
    assert len(server.batches) == 5
    endpoint(TEXTS, "query")
    assert server.batches[5:] == [["drei", "vier"]]


def test_waits_grow_and_follow_the_server(endpoint, server, waits):
    server.faults = ["500", "500", "429"]
    endpoint(["eins"], "query")
    assert 1 <= waits[0] <= 2 <= waits[1] <= 4
    assert waits[2] == 7  # Retry-After


def test_another_dimension_is_refused(endpoint, server):
    server.faults = [None, "narrow", "narrow", "narrow", "narrow"]
    with pytest.raises(IsoglotError, match=r"embeddings of \[3\] dimensions, expected 4"):
        endpoint(TEXTS, "query")


def test_another_dimension_in_the_cache_is_named(endpoint, server, tmp_path):
    server.faults = ["narrow"]
    endpoint(["eins"], "query")
    fresh = Endpoint(server.url, "m", tmp_path / "cache.sqlite", tries=1, sleep=lambda _: None)
    with pytest.raises(IsoglotError, match=r"embeddings of \[4\] dimensions, expected 3"):
        fresh(["eins", "zwei"], "query")


def test_a_refusal_is_not_repeated(endpoint, server):
    server.faults = ["401"]
    with pytest.raises(InputError, match=r"status 401.*no such key.*OPENAI_API_KEY"):
        endpoint(TEXTS, "query")
    assert len(server.batches) == 1


def test_prompts_of_known_models_and_the_key(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    named = open_endpoint(f"endpoint:{server.url}#intfloat/multilingual-e5-small", cache=tmp_path / "c.sqlite")
    named(["a"], "query")
    named(["a"], "passage")
    assert server.batches == [["query: a"], ["passage: a"]]
    assert server.headers_seen == ["Bearer sesame"] * 2


def test_bad_input_is_refused(tmp_path, endpoint, server):
    for name in ("endpoint:ftp://x/v1#m", "endpoint:http://x/v1", "endpoint:x"):
        with pytest.raises(InputError, match="expected endpoint:http"):
            open_endpoint(name, cache=tmp_path / "c.sqlite")
    with pytest.raises(InputError, match="put the key in OPENAI_API_KEY"):
        open_endpoint("endpoint:http://me:secret@host/v1#m", cache=tmp_path / "c.sqlite")
    with pytest.raises(InputError, match="text 1 is empty"):
        endpoint(["a", "  "], "query")
    (tmp_path / "bad.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 4)
    with pytest.raises(InputError, match="not a cache of vectors"):
        Endpoint(server.url, "m", tmp_path / "bad.sqlite")
    assert endpoint([], "query").shape[0] == 0


def test_a_cache_that_another_process_holds_is_told_in_words_and_kept(endpoint, server, monkeypatch):
    endpoint(TEXTS, "query")
    monkeypatch.setattr("isoglot.encoders.endpoint._PATIENCE", 0.01)
    with contextlib.closing(sqlite3.connect(endpoint.cache)) as stopped:
        stopped.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IsoglotError, match=r"cache.sqlite: the cache of vectors cannot be used .*is locked"):
            endpoint(TEXTS, "query")
        with pytest.raises(InputError, match=r"cannot be opened \(database is locked\); what it holds is kept") as told:
            Endpoint(server.url, "m", endpoint.cache)
    assert "delete" not in str(told.value)
    before = len(server.batches)
    assert len(endpoint(TEXTS, "query")) == 5
    assert len(server.batches) == before


def test_a_benchmark_is_measured_through_an_endpoint(server, tmp_path, monkeypatch, capsys):
    from isoglot.cli import run

    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    rows = [
        {"group": f"g{n}", "lang": lang, "query": f"{lang} q{n}", "passage": f"{lang} p{n}"}
        for n in range(3)
        for lang in ("de", "en")
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    name = f"endpoint:{server.url}#m"
    command = ["evaluate", "--benchmark", "rows", "--rows", str(path), "--model", name]
    assert run([*command, "-o", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == name
    scores = (
        unit([f"{x} q{n}" for x in ("de", "en") for n in range(3)])
        @ unit([f"{x} p{n}" for x in ("de", "en") for n in range(3)]).T
    )
    # Monolingual, one answer each: mAP is the mean reciprocal rank within the language.
    ranks = [(scores[q, lang : lang + 3] >= scores[q, q]).sum() for lang in (0, 3) for q in range(lang, lang + 3)]
    assert found["monolingual"]["map"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    sent = len(server.batches)
    assert run([*command, "-o", str(tmp_path / "again")]) == 0
    assert len(server.batches) == sent
    assert run([*command, "-o", str(tmp_path / "cut"), "--length", "9"]) == 2


def test_who_made_an_index_cannot_choose_where_queries_and_keys_go(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    name = f"endpoint:{server.url}#m"
    about = About(name, WIDTH)
    with pytest.raises(InputError, match=rf"not used here before, {name}"):
        open_like(about, None, ModelOptions())
    with pytest.raises(InputError, match="give it as `model`"):
        SharedEncoders(ModelOptions()).of(None, about)
    assert not server.headers_seen
    assert open_like(about, name, ModelOptions()).name == name  # given by the user
    assert server.headers_seen == ["Bearer secret"]
    assert open_like(about, None, ModelOptions()).name == name  # known from now on
    assert SharedEncoders(ModelOptions()).of(None, about).name == name
