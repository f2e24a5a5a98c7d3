"""A server that is told to stop says so to balancers first, and answers all the while."""

import asyncio
import json
import signal
import threading

import httpx
import pytest

pytest.importorskip("fastapi")

import uvicorn

from isoglot.serve.app import create_app
from isoglot.serve.metrics import Metrics
from isoglot.serve.observing import Observed
from isoglot.serve.server import draining_server, listen
from isoglot.serve.settings import ServeSettings
from isoglot.serve.workers import Workers
from support.serving import searcher


@pytest.fixture
def served():
    """Starts a server that takes so many seconds to leave; gives it with a client of it."""
    running = []

    def start(seconds):
        app = create_app({"index": searcher()}, ServeSettings())
        taken = listen("127.0.0.1", 0)
        config = uvicorn.Config(app, http="h11", ws="none", log_level="warning", timeout_graceful_shutdown=3)
        server = draining_server(config, seconds, app.state.leave)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        client = httpx.Client(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", timeout=30)
        assert client.get("/readyz").status_code == 200
        running.append((server, thread, client))
        return server, thread, client

    yield start
    for server, thread, client in running:
        server.should_exit = True
        client.close()
        thread.join(10)
        assert not thread.is_alive()


def test_balancers_are_told_and_requests_answered_until_the_end(served):
    server, thread, client = served(3600)
    server.handle_exit(signal.SIGTERM, None)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "about to stop" in answer.json()["detail"]
    assert client.get("/livez").status_code == 200
    assert client.get("/search", params={"q": "solar"}).json()["hits"]
    assert thread.is_alive()
    server.handle_exit(signal.SIGTERM, None)
    thread.join(10)
    assert not thread.is_alive(), "a second signal stops at once"


def test_it_ends_by_itself(served):
    server, thread, _ = served(0.2)
    server.handle_exit(signal.SIGTERM, None)
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize(("seconds", "sent"), [(0, signal.SIGTERM), (3600, signal.SIGINT)])
def test_without_time_to_leave_and_at_ctrl_c_it_stops_at_once(served, seconds, sent):
    server, thread, _ = served(seconds)
    server.handle_exit(sent, None)
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("path", ["/v1/embeddings", "/search"])
def test_what_a_stopping_server_cannot_answer_is_refused_as_its_clients_read_it(path):
    async def cut_off(scope, receive, send):
        raise asyncio.CancelledError

    sent = []

    async def send(message):
        sent.append(message)

    app = Observed(cut_off, Metrics([], Workers(1, 0, 1.0)), ())
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    asyncio.run(app(scope, None, send))
    start, body = sent
    answer = json.loads(body["body"])
    assert start["status"] == answer["status"] == 503
    assert ("error" in answer) == path.startswith("/v1/")
    assert answer["detail"] == "the server is stopping"
