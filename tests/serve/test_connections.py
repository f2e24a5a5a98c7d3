"""Over real connections: silent and slow clients are let go of, and others do not notice them."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

import uvicorn

from isoglot.serve.app import create_app
from isoglot.serve.connections import Punctual, allow_connections
from isoglot.serve.settings import ServeSettings
from support.serving import searcher


class Hurried(Punctual):
    seconds = 0.3


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    app = create_app({"index": searcher()}, ServeSettings(seconds=0.5))
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready.set()

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        how = uvicorn.Config(app, http=Hurried, log_level="error", timeout_graceful_shutdown=1, ws="none")
        server = Server(how)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert ready.wait(30)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def opened(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side ends the connection."""
    came = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return came
        if not piece:
            return came
        came += piece


def test_silent_connections_are_ended_and_others_answered_meanwhile(port: int) -> None:
    allow_connections(4096)
    with ExitStack() as stack:
        idle = [stack.enter_context(opened(port)) for _ in range(150)]
        client = HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("GET", "/search?q=solar")
        assert client.getresponse().status == 200
        for connection in idle:
            assert rest(connection).startswith(b"HTTP/1.1 408 ")


def test_who_drips_is_not_given_more_time_for_it(port: int) -> None:
    with opened(port) as connection:
        ended = threading.Event()

        def drip() -> None:
            for byte in b"GET /search?q=" + b"x" * 10_000:
                if ended.wait(0.02):
                    return
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        answer = rest(connection)
        ended.set()
        dripping.join(10)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer


def test_a_second_request_has_the_same_limit_as_the_first(port: int) -> None:
    whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with opened(port) as connection:
        connection.sendall(whole)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(whole[:20])
        assert b"HTTP/1.1 408 " in rest(connection)


def test_a_body_that_does_not_come_is_408(port: int) -> None:
    head = b"POST /v1/rerank HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    with opened(port) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_requests_in_a_row_on_one_connection_are_all_answered(port: int) -> None:
    client = HTTPConnection("127.0.0.1", port, timeout=20)
    for number in range(50):
        client.request("GET", f"/search?q=solar{number}")
        answer = client.getresponse()
        assert (answer.status, f'"solar{number}"'.encode() in answer.read()) == (200, True)
    with opened(port) as connection:
        one = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(one * 5 + last)
        assert rest(connection).count(b"HTTP/1.1 200 ") == 6


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 1000,
        b"\r\n" * 1000,
        b"GET /" + b"%ff" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    ],
)
def test_what_is_no_request_is_ended_and_the_server_stays(port: int, sent: bytes) -> None:
    with opened(port) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        came = rest(connection)
    assert b"Traceback" not in came
    assert b"HTTP/1.1 500" not in came
    client = HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/livez")
    assert client.getresponse().status == 200


def test_a_body_that_breaks_off_in_nonsense_is_refused_without_a_trace(port: int) -> None:
    said: list[logging.LogRecord] = []
    listening = logging.Handler()
    listening.emit = said.append  # type: ignore[method-assign]
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(listening)
    try:
        head = b"POST /v1/rerank HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"
        # The second is refused for its name while its body is still coming.
        for name in (b"localhost", b"evil.example"):
            with opened(port) as connection:
                connection.sendall(head % name + b"zz\r\n")
                assert b"HTTP/1.1 400 " in rest(connection)
        with opened(port) as connection:  # after a HEAD no answer may have a body, says h11
            connection.sendall(b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\nno request\r\n\r\n")
            assert b"HTTP/1.1 400 " in rest(connection)
        client = HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("GET", "/livez")
        assert client.getresponse().status == 200
    finally:
        logger.removeHandler(listening)
    assert [record.getMessage() for record in said if record.levelno >= logging.ERROR] == []
