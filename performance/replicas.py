"""Two replicas of an index behind HAProxy, under load, through updates, crashes and restarts that no client may notice.

    python performance/replicas.py
    python performance/replicas.py --quick        # two clients, 50 passages, no longer than the events take
    python performance/replicas.py --clients 8 --seconds 90

An object store, two `isoglot serve s3://...` and HAProxy (with examples/replicas/haproxy.cfg) run on this machine's
loopback interface. Clients search without pause; meanwhile a new version is pushed, one replica is killed (-9) and
restarted, the other is stopped (SIGTERM) and restarted, old versions are pruned and pushed, another version is pushed,
and the store is killed. Every response is checked: status 200, and passages of one version only. Prints a log of the
events, the numbers of responses and errors, and how long both replicas took to serve each new version. Needs haproxy
and the package moto.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from harness import write

HERE = Path(__file__).resolve().parent
CONFIGURATION = HERE.parent / "examples" / "replicas" / "haproxy.cfg"
BUCKET, ADDRESS = "books", "s3://books/index"
REFRESH, DRAIN = 2, 6


def main() -> int:
    """Run the trial, print, and return 0 if all responses were right and updates were in time, else 3."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two clients, 50 passages, as short as the events allow")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=90, help="how long to search at least")
    parser.add_argument("--passages", type=int, default=300)
    parser.add_argument("--json", type=Path, help="write the record here")
    args = parser.parse_args()
    if args.quick:
        args.clients, args.passages, args.seconds = 2, 50, 0
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="replicas-")))
        record = Trial(work, stack, args).run()
    write(record, args.json)
    print(json.dumps({name: value for name, value in record.items() if name != "events"}))
    return 0 if record["errors"] == 0 and record["mixed"] == 0 and record["in_time"] else 3


class Trial:
    """The store, the replicas, the load balancer, the clients, and the sequence of events."""

    def __init__(self, work: Path, stack: ExitStack, args: argparse.Namespace) -> None:
        self.work, self.stack, self.args = work, stack, args
        self.started = time.perf_counter()
        self.events: list[dict[str, object]] = []
        self.errors: list[str] = []
        self.answers = self.mixed = 0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.port, self.one, self.two, self.store_port = (free_port() for _ in range(4))
        self.environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.store_port}",
            "PORT": str(self.port),
            "ONE": str(self.one),
            "TWO": str(self.two),
            "OMP_NUM_THREADS": "1",
        }

    def run(self) -> dict[str, object]:
        """Run all events once and return the record."""
        store = self.start_store()
        self.index(1)
        self.isoglot("push", "index", ADDRESS)
        first, second = self.serve(self.one), self.serve(self.two)
        for port in (self.one, self.two):
            self.wait_ready(port)
        self.start("haproxy", "-f", str(CONFIGURATION))
        self.wait_ready(self.port)
        self.say("two replicas are ready")
        clients = [threading.Thread(target=self.search, daemon=True) for _ in range(self.args.clients)]
        for client in clients:
            client.start()
        late = [self.publish(2)]
        first.kill()
        self.say("one replica killed (-9)")
        time.sleep(2 * REFRESH)
        first = self.serve(self.one)
        self.wait_ready(self.one)
        self.say("it is back")
        second.send_signal(signal.SIGTERM)
        self.say("the other one told to leave (SIGTERM)")
        second.wait(DRAIN + 30)
        self.say(f"it left with {second.returncode}")
        second = self.serve(self.two)
        self.wait_ready(self.two)
        self.say("it is back")
        self.isoglot("index", "-o", "index", "--prune", "1")
        self.isoglot("push", "index", ADDRESS)
        self.say("old versions pruned, and pushed")
        late.append(self.publish(3))
        store.kill()
        store.wait()
        self.say("the store is gone")
        time.sleep(4 * REFRESH)
        while time.perf_counter() - self.started < self.args.seconds:
            time.sleep(0.5)
        self.over.set()
        for client in clients:
            client.join(60)
        self.say("done")
        return {
            "command": " ".join(["python", "performance/replicas.py", *sys.argv[1:]]),
            "clients": self.args.clients,
            "answers": self.answers,
            "errors": len(self.errors),
            "first_errors": self.errors[:5],
            "mixed": self.mixed,
            "seconds_until_served_by_both": [round(seconds, 2) for seconds in late],
            "in_time": all(seconds <= REFRESH + 1 for seconds in late),
            "events": self.events,
        }

    def index(self, version: int) -> None:
        """Build a version of the index whose passages contain its number."""
        rows = self.work / "rows.jsonl"
        with rows.open("w", encoding="utf-8") as stream:
            for number in range(self.args.passages):
                text = f"Tide table {number}: the moon pulls the sea. Edition {version}."
                stream.write(json.dumps({"id": f"d{number}", "text": text, "lang": "en"}) + "\n")
        self.isoglot("index", "rows.jsonl", "-o", "index", *(["--update"] if version > 1 else []))

    def publish(self, version: int) -> float:
        """Push a version; return the seconds until both replicas serve it."""
        self.index(version)
        self.isoglot("push", "index", ADDRESS)
        pushed = time.perf_counter()
        self.say(f"version {version} pushed")
        waiting = {self.one, self.two}
        while waiting:
            waiting = {port for port in waiting if versions(ask(port)) != {version}}
            if time.perf_counter() - pushed > 60:
                raise SystemExit(f"version {version} is not served after a minute by {len(waiting)} of 2 replicas")
            time.sleep(0.05)
        seconds = time.perf_counter() - pushed
        self.say(f"both serve version {version}")
        return seconds

    def search(self) -> None:
        """Search without pause through the load balancer until the trial is over."""
        while not self.over.is_set():
            try:
                answer = ask(self.port)
                told = versions(answer)
            except (OSError, http.client.HTTPException, ValueError) as error:
                with self.lock:
                    self.errors.append(f"{time.perf_counter() - self.started:.1f} s: {type(error).__name__}: {error}")
                continue
            with self.lock:
                self.answers += 1
                self.mixed += len(told) != 1

    def start_store(self) -> subprocess.Popen[bytes]:
        """Start an object store with an empty bucket."""
        store = self.start(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.store_port))
        made = urllib.request.Request(f"{self.environment['AWS_ENDPOINT_URL']}/{BUCKET}", method="PUT")
        for _ in range(600):
            try:
                urllib.request.urlopen(made, timeout=5).close()
            except OSError:
                time.sleep(0.1)
            else:
                return store
        raise SystemExit("the object store does not start; pip install 'moto[server]'")

    def serve(self, port: int) -> subprocess.Popen[bytes]:
        """Start a replica."""
        return self.start(
            sys.executable, "-m", "isoglot", "serve", ADDRESS, "--local", f"local-{port}", "--port", str(port),
            "--refresh", str(REFRESH), "--drain", str(DRAIN),
        )  # fmt: skip

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a process that is killed at the end of the trial."""
        log = self.stack.enter_context((self.work / f"log-{len(self.events)}-{Path(command[0]).name}").open("ab"))
        process = subprocess.Popen(command, cwd=self.work, env=self.environment, stdout=log, stderr=log)

        def end() -> None:
            if process.poll() is None:
                process.kill()
            process.wait()

        self.stack.callback(end)
        return process

    def isoglot(self, *arguments: str) -> None:
        """Run an isoglot command, which must succeed."""
        command = [sys.executable, "-m", "isoglot", *arguments]
        done = subprocess.run(command, cwd=self.work, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"isoglot {' '.join(arguments)}: {done.stderr}")

    def wait_ready(self, port: int) -> None:
        """Wait until a server is ready."""
        for _ in range(1200):
            try:
                if ask(port, "/readyz")["status"] == "ok":
                    return
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)
        raise SystemExit(f"port {port} is not ready after two minutes")

    def say(self, what: str) -> None:
        """Record and print an event."""
        seconds = time.perf_counter() - self.started
        self.events.append({"seconds": round(seconds, 2), "what": what, "answers": self.answers})
        print(f"{seconds:7.1f} s  {self.answers:7d} answers  {len(self.errors):3d} errors  {what}", flush=True)


def ask(port: int, path: str = "/search?q=tide%20table&k=20&mode=lexical") -> dict:
    """GET a path and return the JSON response.

    Raises:
        ValueError: the status is not 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"status {answer.status}: {content[:200]!r}")
    return json.loads(content)


def versions(answer: dict) -> set[int]:
    """The set of versions that a response's passages come from."""
    return {int(re.search(r"Edition (\d+)", hit["text"])[1]) for hit in answer["hits"]}


def free_port() -> int:
    """A free port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
