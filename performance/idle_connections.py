"""Whether thousands of idle connections slow down the requests of other clients.

    python performance/idle_connections.py                    # 3,000 silent connections
    python performance/idle_connections.py --quick            # 200, and 30 requests of each kind
    python performance/idle_connections.py --silent 1000 --json results/idle-connections.json

Probes and searches are sent over loopback to a server in its own process, first alone and then while many connections
are open, each in one of three states: silent from the start, silent in the middle of the request head, and kept alive
after a response. Those that the server closes are reopened. Fails if a request is refused or answered with another
status than 200, or if the server has not closed all idle connections in the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import select
import socket
import sys
import time
from pathlib import Path

import numpy as np
from harness import Served, rss_mb, write

BEGINNINGS = (b"", b"GET /search?q=ka HTTP/1.1\r\nHost: local", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
ASKED = ("/livez", "/readyz", "/search?q=ka+lo&k=3")


def main() -> int:
    """Measure without and with idle connections, and print the record; return 1 after a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 silent connections, 30 requests of each kind")
    parser.add_argument("--silent", type=int, default=3000)
    parser.add_argument("--requests", type=int, default=300, help="of each kind, without and with the others")
    parser.add_argument("--json", type=Path, help="write the record here")
    args = parser.parse_args()
    if args.quick:
        args.silent, args.requests = 200, 30
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(args.silent + 1000, hard), hard))
    with Served("--passages", "500") as server:
        port = server.port
        asked(port, 20)
        rows = [{"silent": 0, **asked(port, args.requests)}]
        held = rss_mb(server.pid)
        others = Others(port, args.silent)
        try:
            rows.append({"silent": len(others.open), **asked(port, args.requests, others.refresh)})
            grown = (rss_mb(server.pid) or 0) - (held or 0)
            left = others.wait(60)
        finally:
            others.close()
        server.end()
    faults = sum(row["faults"] for row in rows)
    record = {
        "command": " ".join(["python", *sys.argv]),
        "load_average": os.getloadavg(),
        "rows": rows,
        "opened": others.opened,
        "still_open_after_60_s": left,
        "memory_growth_mb": round(grown, 1),
    }
    write(record, args.json)
    print(json.dumps(record, indent=1))
    return 1 if faults or left else 0


class Others:
    """Connections that send nothing, or nothing more."""

    def __init__(self, port: int, number: int) -> None:
        self.port, self.opened = port, 0
        self.open: dict[int, socket.socket] = {}
        self.poll = select.poll()
        for _ in range(number):
            self._another()

    def _another(self) -> None:
        one = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        one.sendall(BEGINNINGS[self.opened % 3])
        self.opened += 1
        self.open[one.fileno()] = one
        self.poll.register(one.fileno(), select.POLLIN)

    def refresh(self) -> None:
        """Replace the connections that the server has closed."""
        for _ in range(self._ended()):
            self._another()

    def wait(self, seconds: float) -> int:
        """Wait up to some seconds for the server to close all; return how many are still open."""
        until = time.monotonic() + seconds
        while self.open and time.monotonic() < until:
            self._ended(200)
        return len(self.open)

    def _ended(self, milliseconds: int = 0) -> int:
        ended = 0
        for number, _ in self.poll.poll(milliseconds):
            try:
                over = not self.open[number].recv(65_536)
            except ConnectionResetError:
                over = True
            if over:
                self.poll.unregister(number)
                self.open.pop(number).close()
                ended += 1
        return ended

    def close(self) -> None:
        """Close all connections."""
        for one in self.open.values():
            one.close()


def asked(port: int, requests: int, between=lambda: None) -> dict:
    """Latency percentiles per kind of request, each over a new connection, like the probes of load balancers."""
    took: dict[str, list[float]] = {path: [] for path in ASKED}
    faults = 0
    for number in range(requests):
        if number % 20 == 0:
            between()
        for path in ASKED:
            at = time.perf_counter()
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            client.close()
            took[path].append(1000 * (time.perf_counter() - at))
            faults += answer.status != 200
    figures = {}
    for path, values in took.items():
        p50, p99 = np.percentile(values, [50, 99])
        figures[path] = {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
    return {"requests": requests * len(ASKED), "faults": faults, **figures}


if __name__ == "__main__":
    sys.exit(main())
