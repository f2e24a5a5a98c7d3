"""A local object store, and a proxy in front of it that simulates network faults."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = "books"


@contextmanager
def object_store() -> Iterator[str]:
    """Run an S3 store with an empty bucket, and yield the address of its endpoint."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    try:
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT"), timeout=10).close()
        yield endpoint
    finally:
        server.stop()


@contextmanager
def faulty(
    endpoint: str,
    *,
    refused: float = 0.0,
    lost: float = 0.0,
    seed: int = 0,
    before_put: tuple[int, Callable[[], None]] | None = None,
    after_put: tuple[int, Callable[[], None]] | None = None,
) -> Iterator[str]:
    """Run a faulty proxy in front of a store, and yield its address.

    Args:
        endpoint: of the store.
        refused: share of requests that get a 503.
        lost: share of PUT requests that are carried out but get no response.
        seed: of the random faults.
        before_put: (number, action): run the action when that many PUT requests have arrived, before the last of them
            is forwarded.
        after_put: (number, action): run the action when that many PUT requests were carried out; the client gets no
            response to the last of them.
    """
    host = endpoint.removeprefix("http://")
    chance, lock = random.Random(seed), threading.Lock()
    came, went = itertools.count(1), itertools.count(1)

    def drawn() -> float:
        with lock:
            return chance.random()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if drawn() < refused:
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if before_put and self.command == "PUT" and next(came) == before_put[0]:
                before_put[1]()
            connection = http.client.HTTPConnection(host, timeout=30)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):  # the store is gone: so is the connection
                self.close_connection = True
                return
            finally:
                connection.close()
            if after_put and self.command == "PUT" and next(went) == after_put[0]:
                after_put[1]()
                self.close_connection = True
                return
            if self.command == "PUT" and drawn() < lost:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield "http://{}:{}".format(*server.server_address)
        finally:
            server.shutdown()
            thread.join()


def reach(setenv: Callable[[str, str], None], endpoint: str) -> None:
    """Set the environment variables that clients of a store read."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "very-secret-key",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }.items():
        setenv(name, value)
