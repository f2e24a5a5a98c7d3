"""`isoglot serve` and `isoglot quickstart --serve`: ports, names, models, and a clean end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from fastapi.testclient import TestClient

from isoglot.cli import run, serving
from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoded, Role
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import probe
from isoglot.search.searcher import Searcher
from isoglot.serve import encoders, server, showcase
from isoglot.serve.guard import is_allowed
from isoglot.serve.server import allowed_hosts, listen
from isoglot.serve.settings import ServeSettings
from support.serving import embed, searcher

_SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands it down ignored
sys.path.insert(0, {tests!r})
from support.serving import searcher
from types import SimpleNamespace
import isoglot.search.stores.named, isoglot.search.searcher
about = SimpleNamespace(model="tiny", options={{}})
isoglot.search.stores.named.open_place = lambda folder: SimpleNamespace(about=about)
isoglot.search.searcher.Searcher.open = classmethod(lambda cls, path, model, opener: searcher())
from isoglot.cli import main
main(["serve", "some/news", "--port", "0"])
"""


def test_a_real_server_answers_limits_and_stops_on_interrupt() -> None:
    script = _SCRIPT.format(tests=str(Path(__file__).parents[1]))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, text=True, env=environment, cwd="/"
    ) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert line.startswith("serving on http://127.0.0.1:"), line + process.stderr.read()
            port = int(line.split(":")[2].split()[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Server")) == (200, None)
            assert json.load(answer)["indexes"][0]["name"] == "news"
            connection.request("GET", "/?q=" + "x" * 100_000)
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Content-Type")) == (414, "application/problem+json")
            connection.close()
            # Parsing a million headers would take seconds, in which nothing else is answered.
            with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
                raw.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"a:b\r\n" * 40_000)
                assert raw.recv(100).startswith(b"HTTP/1.1 431 ")
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


_SLOW = """
import threading
import isoglot.cli.serving
isoglot.cli.serving.SECONDS_TO_END = 0.5
import support.serving
fast = support.serving.encode
def encode(texts):
    if "slow" in texts:
        print("at work", file=sys.stderr, flush=True)
        sys.stdin.readline()
    if "hang" in texts:
        print("at work", file=sys.stderr, flush=True)
        threading.Event().wait()
    return fast(texts)
served = support.serving.searcher
searcher = lambda: served(encoder=encode)
"""


@pytest.mark.parametrize(
    ("query", "told", "code"), [("slow", signal.SIGTERM, -signal.SIGTERM), ("hang", signal.SIGINT, 130)]
)
def test_a_request_under_way_is_finished_and_one_that_hangs_keeps_nobody(
    query: str, told: signal.Signals, code: int
) -> None:
    before, after = _SCRIPT.format(tests=str(Path(__file__).parents[1])).split("from types import")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", f"{before}{_SLOW}from types import{after}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd="/"
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stderr is not None
            port = int(process.stderr.readline().split(":")[2].split()[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", f"/search?q={query}&k=1")
            assert process.stderr.readline() == "at work\n"
            process.send_signal(told)
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert connection.getresponse().status == (200 if query == "slow" else 503)
            assert process.wait(30) == code
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def test_two_indexes_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[Path, str]] = []
    loaded: list[str] = []
    closed: list[int] = []
    served = []

    def open_(place: SimpleNamespace, model: str | None, opener: Callable[[SimpleNamespace], Named]) -> Searcher:
        opened.append((place.folder, opener(place.about).name))
        chosen = searcher(name=str(len(opened)))
        chosen.close = lambda: closed.append(1)  # type: ignore[method-assign]
        return chosen

    monkeypatch.setattr(Searcher, "open", open_)
    monkeypatch.setattr(
        "isoglot.search.stores.named.open_place",
        lambda folder: SimpleNamespace(about=SimpleNamespace(model=f"{folder}/model", options={}), folder=folder),
    )
    monkeypatch.setattr(encoders, "open_apart", lambda about, name, options: loaded.append(name) or Named(name))
    monkeypatch.setattr(server, "run", lambda app, taken, **how: served.append((app, taken.getsockname())))
    assert run(["serve", "a/news", "--compare", "b/news", "--compare-model", "other", "--port", "0"]) == 0
    assert loaded == ["a/news/model", "other"]
    assert opened == [("a/news", "a/news/model"), ("b/news", "other")]
    app, (host, _) = served[0]
    assert host == "127.0.0.1"
    assert len(closed) == 2
    with TestClient(app, base_url="http://localhost") as client:
        assert [entry["name"] for entry in client.get("/healthz").json()["indexes"]] == ["news", "news (2)"]
        assert client.get("/search", params={"q": "solar", "index": "news (2)"}).json()["model"] == "2"
        assert client.get("/", headers={"Host": "elsewhere.example"}).status_code == 400


def test_indexes_of_one_model_share_it_until_another_one_lies_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(turned: int) -> About:
        vectors = np.roll(probe(embed), turned, axis=1)
        return About("model", vectors.shape[1], probe=vectors.tolist())

    class Turned(type(embed)):  # type: ignore[misc]
        def __init__(self, about: About) -> None:
            self.turned = next(turned for turned in (0, 1) if about == told(turned))

        def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
            found = super().encoded(texts, role)
            return found._replace(vectors=np.roll(found.vectors, self.turned, axis=1))

    monkeypatch.setattr(encoders, "open_apart", lambda about, name, options: Turned(about))
    shared = encoders.SharedEncoders(ModelOptions())
    first = shared.of(None, told(0))
    assert shared.of("model", told(0)) is first
    assert shared.of("other", told(0)) is not first
    second = shared.of(None, told(1))
    assert second is not first
    assert shared.of(None, told(1)) is second


def test_bad_ports_hosts_and_keys_are_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(
            "isoglot.search.stores.named.open_place",
            lambda folder: SimpleNamespace(about=SimpleNamespace(model="tiny", options={})),
        )
        assert run(["serve", "index", "--port", str(port)]) == 2
        assert f"--port {port}: cannot listen there (Address already in use)" in capsys.readouterr().err
    assert run(["serve", "index", "--keys", "nokeys.json"]) == 2
    assert "--keys: nokeys.json: no such file; make it with `isoglot keys add`" in capsys.readouterr().err
    for host, port, says in (("127.0.0.1", 65536, "port 65536"), ("no such host", 0, "host no such host")):
        with pytest.raises(InputError, match=says):
            listen(host, port)


@pytest.mark.parametrize(
    ("host", "names"),
    [("127.0.0.1", 3), ("::1", 3), ("localhost", 3), ("127.8.8.8", 3), ("0.0.0.0", 1), ("::", 1), ("myhost", 1)],
)
def test_the_network_may_use_any_name_and_this_machine_its_own(host: str, names: int) -> None:
    assert len(allowed_hosts(host)) == names
    assert "*" not in allowed_hosts(host, others=True)


def test_names_given_for_a_server_on_the_network_are_the_only_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ServeSettings] = []

    def stop(wanted: object, options: object, settings: ServeSettings, *_: object) -> None:
        made.append(settings)
        raise InputError("enough")

    monkeypatch.setattr(serving, "_app", stop)
    place = SimpleNamespace(about=About("model", 2))
    monkeypatch.setattr("isoglot.search.stores.named.open_place", lambda folder: place)
    for more in ([], ["--allow-host", "search.example.org"]):
        assert run(["serve", "index", "--host", "0.0.0.0", "--port", "0", *more]) == 2
    assert [is_allowed("evil.example:80", settings.hosts) for settings in made] == [True, False]
    assert all(is_allowed(host, made[1].hosts) for host in ("search.example.org", "localhost:8000", "0.0.0.0"))


def test_quickstart_serves_base_beside_hybrid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "runs" / "hybrid-0.5-seed3" / "model").mkdir(parents=True)
    runs = [("base", None), ("x-x-mono", 3), ("hybrid-0.5", 3)]
    study = SimpleNamespace(folder=tmp_path, runs=[SimpleNamespace(regime=name, seed=seed) for name, seed in runs])
    loaded: list[str] = []
    served = []
    monkeypatch.setattr(showcase, "open_embedder", lambda model: loaded.append(model) or embed)
    monkeypatch.setattr(server, "run", lambda app, taken, **how: served.append(app))
    serving.serve_quickstart(study, port=0)  # type: ignore[arg-type]
    assert loaded == ["embedded", str(tmp_path / "runs" / "hybrid-0.5-seed3" / "model")]
    with TestClient(served[0], base_url="http://127.0.0.1") as client:
        indexes = client.get("/healthz").json()["indexes"]
        assert [entry["name"] for entry in indexes] == ["base", "hybrid-0.5"]
        assert indexes[0]["languages"]["th"] == 80  # groups of the corpus's test half
        page = client.get("/?q=moon").text
        assert page.count('<ol class="hits">') == 2
        assert client.post("/v1/embeddings", json={"model": "hybrid-0.5", "input": "x"}).status_code == 200


def test_a_quickstart_learns_of_a_taken_port_before_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert run(["quickstart", "-o", str(tmp_path / "out"), "--serve", "--port", port]) == 2
    assert f"--port {port}: cannot listen there" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_quickstart_without_its_model_says_so(tmp_path: Path) -> None:
    study = SimpleNamespace(folder=tmp_path, runs=[SimpleNamespace(regime="hybrid-0.5", seed=0)])
    with pytest.raises(InputError, match="holds no hybrid model to serve"):
        showcase.models_of(study)  # type: ignore[arg-type]
