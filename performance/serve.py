"""The server under load: requests per second, median and 99th percentile latency, memory, errors.

    python performance/serve.py                    # 10,000 requests each at 1, 8 and 32 clients, JSON and page
    python performance/serve.py --quick
    python performance/serve.py --model embedded --repeated 0.9   # a real encoder, and nine of ten queries known
    python performance/serve.py --model embedded --queries atlas  # realistic questions in 11 languages
    python performance/serve.py --requests 100000 --clients 8 --kinds json     # memory, with its curve
    python performance/serve.py --model embedded --index stored --repeated 0.9 --narrowed 0.5 --half  # typical use

The server runs in its own process on this machine's loopback interface (and its model in another, as in `isoglot
serve`), over an exact index of seeded random passages in 11 languages; the clients are threads of this process on the
same machine, each with one kept-alive connection. Without --model a query's vector is drawn from a seed, so that the
figures measure the server alone; the same search called directly is reported for comparison. Memory is the peak of
both server processes above what they held when ready; the record of --json has their memory after every fortieth of
the requests.

--index stored serves an index on disk, as built by `isoglot index`, instead of one in memory. --narrowed is the share
of requests with a filter and facet counts of two fields. --half repeats every row with requests at a constant rate of
half the row's throughput, each timed from when it was due.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import signal
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlencode

import numpy as np
from harness import Served, commit, family, peak, rss_mb, unit, write

LANGS = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
DIMENSION = 384
NARROWED = "&" + urlencode({"where": "year >= 2013", "facets": ["lang", "year"]}, doseq=True)
PATHS = {"json": "/search?k=10&q={}", "page": "/?view=one&k=10&q={}"}


def main() -> int:
    """Measure, print, and return 0 if the goals were reached, else 3."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="at each number of clients and kind of answer")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--kinds", default="json,page")
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--model", help="encode queries with this model instead of drawing vectors")
    parser.add_argument("--quick", action="store_true", help="200 requests over 1,000 passages")
    parser.add_argument("--json", type=Path, help="write the full record here")
    parser.add_argument(
        "--repeated", type=float, default=0.0, metavar="SHARE", help="share of the queries that are out of 100, 0 to 1"
    )
    parser.add_argument(
        "--queries", choices=["made-up", "atlas"], default="made-up", help="six words of syllables, or real questions"
    )
    parser.add_argument("--index", choices=["memory", "stored"], default="memory", help="what is searched")
    parser.add_argument(
        "--narrowed", type=float, default=0.0, metavar="SHARE", help="share with a filter and facets, 0 to 1"
    )
    parser.add_argument("--half", action="store_true", help="again at half of each row's throughput")
    parser.add_argument("--all-routes", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.requests, args.passages = 200, 1000
    if args.child:
        child(args.passages, args.model, stored=args.index == "stored", all_routes=args.all_routes)
        return 0
    record = measure(args)
    print_record(record)
    write(record, args.json)
    return 0 if all(goal["reached"] for goal in record["goals"]) else 3


def measure(args: argparse.Namespace) -> dict:
    """Measure every kind of response at every number of clients."""
    flags = ["--passages", str(args.passages), "--index", args.index]
    flags += ["--model", args.model] if args.model else []
    rows: list[dict] = []
    halves: list[dict] = []
    with Served(*flags) as server:
        port = server.port
        # Load the questions now: the server drops clients that connect and stay silent meanwhile.
        query(random.Random(0), args.queries)
        load(port, "json", 1, min(100, args.requests), seed=1)  # warm
        held = rss_mb(server.pid)
        for clients in (int(part) for part in args.clients.split(",")):
            for kind in args.kinds.split(","):
                curve: list[tuple[int, float | None]] = []

                def held_at(done: int, curve: list = curve) -> None:
                    curve.append((done, rss_mb(server.pid)))

                how = {name: getattr(args, name) for name in ("repeated", "narrowed", "queries")}
                rows.append(load(port, kind, clients, args.requests, seed=clients, told=held_at, **how))
                rows[-1] |= {"server_mb": rss_mb(server.pid), "server_mb_after": curve}
                say(rows[-1])
                if args.half:
                    how["rate"] = rows[-1]["per_second"] / 2
                    halves.append(load(port, kind, clients, args.requests, seed=clients + 100, **how))
                    say(halves[-1])
        ended, _ = server.end()
    errors = sum(row["errors"] for row in rows + halves)
    goals = [goal("errors", errors, 0), goal("clean_exit", ended["signal"], "SIGINT")]
    if held is not None:
        # The first row fills the caches, so growth is measured from there; with a single row, from before it.
        first = held if len(rows) == 1 else rows[0]["server_mb"]
        goals.append(goal("memory_growth_mb", round(rows[-1]["server_mb"] - first, 1), 100))
    speeds = {row["clients"]: row["per_second"] for row in rows if row["kind"] == "json"}
    if args.model and {1, 32} <= set(speeds) and not args.repeated:
        # Queries of concurrent clients are encoded in batches.
        times = round(speeds[32] / speeds[1], 2)
        goals.append({"name": "throughput_32_to_1", "measured": times, "wanted": 4, "reached": times >= 4})
    for row in halves:
        times = round(row["p99_ms"] / row["p50_ms"], 2)
        goals.append(goal(f"half_load_p99_to_p50_{row['kind']}_{row['clients']}", times, 2))
    return {
        "command": " ".join(["python", "performance/serve.py", *sys.argv[1:]]),
        "commit": commit(),
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "load_average": os.getloadavg(),
        "repeated": args.repeated,
        "queries": args.queries,
        "narrowed": args.narrowed,
        "index": args.index,
        "passages": args.passages,
        "model": args.model,
        "direct_ms": server.ready["direct_ms"],
        "peak_mb_above_ready": ended["peak_mb"],
        "rows": rows,
        "half_load": halves,
        "goals": goals,
    }


def load(
    port: int,
    kind: str,
    clients: int,
    requests: int,
    *,
    seed: int,
    repeated: float = 0.0,
    told=None,
    queries: str = "made-up",
    narrowed: float = 0.0,
    rate: float | None = None,
) -> dict:
    """Send requests over one connection per client, timing each from sending to the last byte read.

    `told` is called with the number of finished requests, forty times. With a rate (requests per second) each request
    is sent when it is due, or once its connection is free, and timed from when it was due.
    """
    share = [requests // clients + (number < requests % clients) for number in range(clients)]
    started, counting, done = threading.Barrier(clients + 1), threading.Lock(), [0]

    def client(number: int) -> tuple[list[tuple[float, bool]], int]:
        draw = random.Random(f"{seed} {number}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        took, errors = [], 0
        started.wait()
        began = time.perf_counter()
        for turn in range(share[number]):
            # Either one of a hundred popular queries, or a new one.
            known = draw.random() < repeated
            one = random.Random(draw.randrange(100)) if known else draw
            words = quote(query(one, queries))
            path = PATHS[kind].format(words) + (NARROWED if draw.random() < narrowed else "")
            at = time.perf_counter()
            if rate is not None:
                at = began + (turn * clients + number) / rate
                time.sleep(max(0.0, at - time.perf_counter()))
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            took.append((time.perf_counter() - at, known))
            right = body.count(b"<article") == 10 if kind == "page" else body.count(b'"rank"') == 10
            if answer.status != 200 or not right:
                errors += 1
                sys.stderr.write(f"{answer.status} after {took[-1][0]:.2f} s: {body[:300]!r}\n")
            with counting:
                done[0] += 1
                if told is not None and done[0] % max(1, requests // 40) == 0:
                    told(done[0])
        connection.close()
        return took, errors

    with ThreadPoolExecutor(clients) as pool:
        futures = [pool.submit(client, number) for number in range(clients)]
        started.wait()
        at = time.perf_counter()
        results = [future.result() for future in futures]
        seconds = time.perf_counter() - at
    took = np.array([seconds for entries, _ in results for seconds, _ in entries]) * 1000
    known = np.array([known for entries, _ in results for _, known in entries])
    return {
        "kind": kind,
        "clients": clients,
        "rate": rate,
        "requests": requests,
        "errors": sum(errors for _, errors in results),
        "per_second": round(requests / seconds, 1),
        **percentiles(took),
        # Reported separately: queries whose vectors are cached, and queries that have to be encoded.
        **({"known": percentiles(took[known]), "new": percentiles(took[~known])} if known.any() else {}),
    }


def percentiles(took: np.ndarray) -> dict:
    """Median and 99th percentile of milliseconds; None each for an empty array."""
    if not len(took):
        return {"p50_ms": None, "p99_ms": None}
    return {f"p{share}_ms": round(float(np.percentile(took, share)), 2) for share in (50, 99)}


def child(count: int, model: str | None, *, stored: bool = False, all_routes: bool = False) -> None:
    """Run the server; print its port when it is ready, and its peak memory when it was stopped."""
    from isoglot.core.passive_waiting import wait_asleep
    from isoglot.search.index.memory import MemoryIndex
    from isoglot.search.passage import Passage
    from isoglot.search.searcher import Searcher

    wait_asleep()  # as the command does
    draw = random.Random(0)
    passages = [
        Passage(
            f"d{row}",
            f"d{row}",
            " ".join(word(draw.randrange(5000)) for _ in range(60)),
            LANGS[row % len(LANGS)],
            metadata={"year": 2000 + draw.randrange(26)},
        )
        for row in range(count)
    ]
    vectors = unit(np.random.default_rng(0).standard_normal((count, DIMENSION), np.float32))
    with TemporaryDirectory(prefix="isoglot-serve-") as scratch:
        index = stored_index(Path(scratch) / "index", passages, vectors) if stored else MemoryIndex(passages, vectors)
        answer_until_told(Searcher(index, encoder(model), model_name=model or "seeded"), model, all_routes=all_routes)


def stored_index(home: Path, passages: list, vectors: np.ndarray, ann_from: int | None = None):
    """Build an index on disk, with exact search, or with ANN if there are at least `ann_from` vectors."""
    from isoglot.search.index.lance import LanceIndex
    from isoglot.search.index.manifest import Manifest
    from isoglot.search.index.publishing import publish
    from isoglot.search.index.store import Store

    store = Store(home, DIMENSION)
    store.put(passages, [passage.id for passage in passages], vectors)
    store.read_state()
    publish(
        home,
        store,
        Manifest("seeded", DIMENSION, 192, []),
        ann_from=len(passages) + 1 if ann_from is None else ann_from,
    )
    return LanceIndex(home)


def answer_until_told(searcher, model: str | None, *, all_routes: bool) -> None:
    """Print the port and the time of a search without a server, then serve until SIGINT."""
    from isoglot.encoders.encoding import as_encoder
    from isoglot.serve.app import create_app
    from isoglot.serve.server import listen, run
    from isoglot.serve.settings import ServeSettings

    took = []
    for number in range(50):
        at = time.perf_counter()
        searcher.search(f"warm {number}", k=10)
        took.append((time.perf_counter() - at) * 1000)
    ready = sum(map(peak, family(os.getpid()))) / 2**20
    taken = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    print(json.dumps({"port": port, "direct_ms": round(float(np.median(took)), 2)}), flush=True)
    ended = "none"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start with SIGINT ignored
    try:
        embed = {"index": as_encoder(encoder(model))} if all_routes else None
        run(create_app({"index": searcher}, ServeSettings(at_once=2 if model else 1), embed=embed), taken)
    except KeyboardInterrupt:
        ended = "SIGINT"
    highest = sum(map(peak, family(os.getpid()))) / 2**20
    print(json.dumps({"signal": ended, "peak_mb": round(highest - ready, 1)}), flush=True)


def opened(model: str):
    """Open a model in the way `isoglot serve` does in its encoder process."""
    from isoglot.encoders.light import open_light
    from isoglot.encoders.opening import open_embedder
    from isoglot.encoders.options import ModelOptions

    return open_light(model, ModelOptions()) or open_embedder(model)


@cache
def encoder(model: str | None):
    """A model in its own process, or a function that draws vectors seeded by a text's checksum."""
    if model:
        from isoglot.encoders.encoder_process import EncoderProcess

        return EncoderProcess(partial(opened, model))

    def seeded(texts: list[str], role: str) -> np.ndarray:
        rows = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(DIMENSION) for text in texts]
        return unit(np.array(rows, np.float32))

    return seeded


def query(draw: random.Random, queries: str) -> str:
    """Six made-up words, or a question of the atlas corpus with a random number that makes it unique."""
    if queries == "atlas":
        return f"{draw.choice(atlas_questions())} {draw.randrange(10_000)}"
    return " ".join(word(draw.randrange(5000)) for _ in range(6))


@cache
def atlas_questions() -> list[str]:
    """The questions of the atlas corpus, in its 11 languages."""
    from isoglot.studies.atlas_study import atlas

    return [json.loads(line)["query"] for line in atlas("train").read_text(encoding="utf-8").splitlines()]


def word(number: int) -> str:
    """A made-up word for a number."""
    syllables = ("ka", "lo", "mi", "ter", "sun", "vor", "be", "dra", "ne", "po")
    return "".join(syllables[int(digit)] for digit in str(number))


def goal(name: str, measured: object, wanted: object) -> dict:
    reached = measured <= wanted if isinstance(wanted, (int, float)) else measured == wanted
    return {"name": name, "measured": measured, "wanted": wanted, "reached": reached}


def say(row: dict) -> None:
    sys.stderr.write(f"{row['kind']} {row['clients']} clients: {row['per_second']} requests/s\n")


def print_record(record: dict) -> None:
    print(f"{'answer':<16}{'clients':>8}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}{'server MiB':>12}")
    for row in record["rows"] + record["half_load"]:
        name = row["kind"] if row["rate"] is None else f"{row['kind']}, half"
        print(
            f"{name:<16}{row['clients']:>8}{row['per_second']:>12}{row['p50_ms']:>9}{row['p99_ms']:>9}"
            f"{row['errors']:>8}{row.get('server_mb') or '-':>12}"
        )
        for kind in ("known", "new"):
            if kind in row:
                print(f"  {kind + ' queries':<34}{row[kind]['p50_ms']:>9}{row[kind]['p99_ms']:>9}")
    print(f"the same search without a server: {record['direct_ms']} ms (median)")
    print(f"server's peak above ready: {record['peak_mb_above_ready']} MiB")
    for each in record["goals"]:
        reached = "reached" if each["reached"] else "missed"
        print(f"GOAL {each['name']} {each['measured']} {each['wanted']} {reached}")


if __name__ == "__main__":
    sys.exit(main())
