"""`/livez` and `/readyz`: told at once, whatever else the server is doing."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from isoglot.core.errors import InputError
from isoglot.serve.app import create_app
from isoglot.serve.settings import ServeSettings
from support.serving import encode, searcher


def test_probes_do_not_queue_behind_searches() -> None:
    """Every thread and every place in the queue is taken, and the model itself is stuck."""
    release, begun, refused = threading.Event(), threading.Event(), threading.Event()
    statuses: list[int] = []

    def stuck(texts: list[str]) -> object:
        begun.set()
        release.wait(30)
        return encode(texts)

    limits = ServeSettings(seconds=30, threads=1, waiting=1)
    app = create_app({"index": searcher(encoder=stuck)}, limits)
    with TestClient(app, base_url="http://127.0.0.1") as client:

        def ask() -> None:
            statuses.append(client.get("/search?q=slow").status_code)
            if statuses[-1] == 503:
                refused.set()

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        try:
            # Two of the three hold all places, whichever came first; the other one is refused.
            assert begun.wait(10)
            assert refused.wait(10)
            for path in ("/livez", "/readyz", "/healthz", "/readyz"):
                answer = client.get(path)
                assert (answer.status_code, answer.json()["status"]) == (200, "ok")
                # Answered before either search was.
                assert statuses == [503]
        finally:
            release.set()
            for thread in asking:
                thread.join(10)
    assert sorted(statuses) == [200, 200, 503]


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


def test_what_nobody_foresaw_is_not_ready_either() -> None:
    index = searcher()
    release = threading.Event()

    def fail(*args: object, **kwargs: object) -> None:
        release.wait(30)
        raise KeyError("odd")

    with TestClient(create_app({"index": index}), base_url="http://127.0.0.1") as client:
        index.search = fail  # type: ignore[method-assign,assignment]
        assert client.get("/readyz").status_code == 200  # the last result: the check goes on
        release.set()
        while client.get("/readyz").status_code == 200:
            pass  # until the check is over; the test's own time limit ends it otherwise
        assert client.get("/readyz").status_code == 503
