"""`/livez` and `/readyz`: told at once, whatever else the server is doing."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.core.errors import InputError
from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import encode, searcher


def test_probes_do_not_queue_behind_searches() -> None:
    """Every thread and every place in the queue is taken, and the model itself is stuck."""
    release, begun = threading.Event(), threading.Event()

    def stuck(texts: list[str]) -> object:
        begun.set()
        release.wait(30)
        return encode(texts)

    limits = ServeSettings(seconds=30, threads=1, waiting=1)
    app = create_app({"index": searcher(encoder=stuck)}, limits)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        asking = [threading.Thread(target=client.get, args=("/search?q=slow",)) for _ in range(2)]
        for thread in asking:
            thread.start()
        try:
            assert begun.wait(10)
            assert client.get("/search?q=third").status_code in (200, 503)
            for path in ("/livez", "/readyz", "/healthz", "/readyz"):
                started = time.perf_counter()
                answer = client.get(path)
                assert (answer.status_code, answer.json()["status"]) == (200, "ok")
                # Not a goal of speed: a search takes 30 seconds here.
                assert time.perf_counter() - started < 5
        finally:
            release.set()
            for thread in asking:
                thread.join(10)


def test_ready_again_after_the_index_came_back() -> None:
    index = searcher()
    app = create_app({"index": index})
    search = index.search

    def fail(*args: object, **kwargs: object) -> None:
        raise InputError("gone")

    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/readyz").json()["indexes"][0]["name"] == "index"
        index.search = fail  # type: ignore[method-assign,assignment]
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        index.search = search  # type: ignore[method-assign]
        assert client.get("/readyz").status_code == 200
