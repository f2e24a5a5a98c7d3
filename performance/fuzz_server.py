"""Fuzz a real server with damaged requests: it must respond or close the connection, and keep serving.

    python performance/fuzz_server.py                      # a minute
    python performance/fuzz_server.py --quick              # ten seconds
    python performance/fuzz_server.py --seconds 600 --seed 7

Sends requests of all routes with bytes changed, deleted, duplicated and concatenated, chunked bodies, several on a
connection, some dripped and some left open, over loopback to a server in its own process. Fails if a response is 500,
if the log has a traceback, if an intact request among them does not get its own result, or if the process dies or
grows by more than 100 MiB. Prints the number of responses by status.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import sys
import time
from collections import Counter

from harness import Served, rss_mb

from serve import word

HEAD = "Host: localhost\r\nAccept-Language: ar;q=0.5, de\r\n"
JSON = HEAD + "Content-Type: application/json\r\n"
REQUESTS = [
    f"GET /search?q=ka&k=3&lang=de&lang=ar&mode=hybrid&fair=balanced HTTP/1.1\r\n{HEAD}\r\n",
    f"GET /?q=ka+lo&view=two&fair=balanced&mode=dense&ui=ar HTTP/1.1\r\n{HEAD}\r\n",
    f"GET /export.csv?q=ka HTTP/1.1\r\n{HEAD}\r\n",
    f"GET /export.json?q=ka&k=2 HTTP/1.1\r\n{HEAD}\r\n",
    f"HEAD /api HTTP/1.1\r\n{HEAD}\r\n",
    f"GET /static/page.js HTTP/1.1\r\n{HEAD}Accept-Encoding: gzip\r\n\r\n",
    f"GET /metrics HTTP/1.1\r\n{HEAD}X-Request-Id: a.b-c\r\n\r\n",
    f"GET /openapi.json HTTP/1.1\r\n{HEAD}\r\n",
    f'POST /v1/rerank HTTP/1.1\r\n{JSON}Content-Length: 38\r\n\r\n{{"query": "ka", "documents": ["a", 1]}}',
    f"POST /v1/embeddings HTTP/1.1\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n"
    '1c\r\n{"model": "index", "input": \r\n5\r\n"ka"}\r\n0\r\n\r\n',
]
PIECES = [
    b"\r\n", b"\n", b"\x00", b"\xff\xfe", b"%", b"%00", b"%ff", b"\xed\xa0\x80", b"&", b"=", b";", b"?", b"#", b"../",
    b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Host: evil.example\r\n",
    b"X-Forwarded-For: 1.2.3.4\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b'{"model": {}}', b"[" * 2000, b"a" * 9000,
    b"HTTP/1.0", b"HTTP/2.0", b"GET ", b"-1", b"1e309", b"NaN", "٣".encode(), "\u202e".encode(), b"ui=", b"k=",
]  # fmt: skip


def damaged(draw: random.Random) -> bytes:
    """One or more concatenated requests, most of them damaged."""
    sent = bytearray()
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        one = bytearray(draw.choice(REQUESTS).encode())
        for _ in range(draw.choice((0, 1, 1, 2, 4, 12))):
            at = draw.randrange(len(one) + 1)
            kind = draw.randrange(5)
            if kind == 0:
                one[at : at + 1] = bytes([draw.randrange(256)])
            elif kind == 1:
                one[at:at] = draw.choice(PIECES)
            elif kind == 2:
                del one[at : at + draw.randrange(1, 30)]
            elif kind == 3:
                one[at:at] = one[draw.randrange(len(one)) :][: draw.randrange(1, 200)] if one else b""
            else:
                one[at : at + 8] = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 40)))
            one = one or bytearray(b"\n")
        sent += one
    return bytes(sent)


def main() -> int:
    """Send requests for --seconds and print what came back; return 1 after a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ten seconds")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw, counts, faults = random.Random(args.seed), Counter(), []
    with Served("--passages", "500", "--all-routes") as server:
        port = server.port
        whole(port, 0)  # blocks until the server, which is already listening, is ready
        open_ones: list[socket.socket] = []
        held, until, sent = None, time.monotonic() + (10 if args.quick else args.seconds), 0
        while time.monotonic() < until and not faults:
            content = damaged(draw)
            sent += 1
            try:
                faults += send(port, content, draw, counts, open_ones)
                if sent % 50 == 0:
                    faults += whole(port, draw.randrange(10**6))
            except OSError as error:
                faults.append(f"the server takes no connection: {error}")
            if sent == 1000:
                held = rss_mb(server.pid)
            if faults:
                print(f"seed {args.seed}, request {sent}: {content!r}\n{faults}", flush=True)
        grown = (rss_mb(server.pid) or 0) - (held or 0) if held else 0
        _, said = server.end()
        if "Traceback" in said:
            faults += [each[:4000] for each in said.split("Traceback")[1:3]]
        if grown > 100:
            faults.append(f"memory grew by {grown} MiB")
    print(f"{sent} connections, seed {args.seed}; memory grew by {grown:.1f} MiB after the first 1000")
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


def send(port: int, content: bytes, draw: random.Random, counts: Counter, open_ones: list[socket.socket]) -> list[str]:
    """Send over one connection and count the statuses of the responses; return faults."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=120)
    style = draw.randrange(20)
    try:
        if style == 0:  # left open, one of up to 200
            connection.sendall(content[: draw.randrange(len(content) + 1)])
            open_ones.append(connection)
            if len(open_ones) > 200:
                open_ones.pop(0).close()
            counts["left open"] += 1
            return []
        if style == 1:
            for at in range(0, len(content), 97):
                connection.sendall(content[at : at + 97])
        else:
            connection.sendall(content)
        if style == 2:  # closed before the response
            connection.close()
            counts["gone"] += 1
            return []
        connection.shutdown(socket.SHUT_WR)
        came = b""
        while piece := connection.recv(1 << 16):
            came += piece
    except OSError as error:
        if isinstance(error, TimeoutError):
            return ["no answer and no end within 120 s"]
        counts["reset"] += 1
        return []
    finally:
        if style:
            connection.close()
    statuses = [part[:3].decode() for part in came.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]
    counts.update(statuses or ["nothing"])
    return [came[:1000].decode("utf-8", "replace")] if "500" in statuses else []


def whole(port: int, number: int) -> list[str]:
    """Send an intact request, which must be answered normally; return faults."""
    query = f"{word(number)} {number}"
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    client.request("GET", "/search?k=3&q=" + query.replace(" ", "+"))
    answer = client.getresponse()
    body = answer.read()
    client.close()
    if answer.status != 200 or json.loads(body)["query"] != query or len(json.loads(body)["hits"]) != 3:
        return [f"a whole request was answered with {answer.status}: {body[:500]!r}"]
    return []


if __name__ == "__main__":
    sys.exit(main())
