"""Indexing on several workers against one process, and a projection to 10^8 and 10^9 passages.

    python performance/scale_out.py [--model embedded]
    python performance/scale_out.py --quick     # 256 passages, each number of workers once

Passages of about a hundred words are indexed in this process and by 1, 2 and 4 Ray workers on this machine. Unless
--model names an encoder, the encoder sleeps --wait milliseconds per passage, as a process waits for its GPU: this
measures the overhead of planning, transfers, ledger and splitting on a machine with fewer cores than workers. Rates are
counted from the moment when as many shards are finished as there are workers, which excludes starting Ray and opening
models; the total time is printed beside them. Efficiency is the rate divided by that of one process and by the number
of workers. The driver is measured too (documents per second of one core that it reads and plans, and its memory);
its memory alone, at any number of short records, with

    python performance/scale_out.py --plan 1000000 2000000 5000000 --repeats 1

Bytes on disk are measured for an index with 32, 16 and 8 bits, with random vectors (repeated numbers would compress):
the difference between two indexes, one of four times as many passages, so that fixed costs cancel out. The projection
is arithmetic from these figures and the flags below, which are printed with it; nothing of that size was built.
"""

import json
import math
import os
import tempfile
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
from harness import bytes_below, finish, interleaved, median, parser, peak, rss
from scale import passages

from isoglot.core.executors import Here
from isoglot.core.large_dict import MOST
from isoglot.core.on_ray import OnRay
from isoglot.encoders.opening import open_embedder
from isoglot.search.index import shards
from isoglot.search.index.building import build_index
from isoglot.search.index.stored_vectors import NUMBERS

ASSUMED = {
    "workers": (16, "GPU workers"),
    "gpu_rate": (12_000.0, "passages a second that a GPU encodes"),
    "price_per_hour": (3.0, "of one worker, and of the driver, in dollars"),
    "drivers_rate": (0.0, "documents a second that the driver reads and plans; 0 takes the measured figure"),
    "dimension": (384, "of the vectors"),
    "network": (1.0, "gigabytes a second between machine and object store"),
    "nvme": (3.0, "gigabytes a second that a replica reads at random"),
    "round_trip": (50.0, "milliseconds of a request to the object store"),
    "probes": (24, "partitions that a search reads, of as many as the square root of the passages"),
    **{
        f"bytes_{numbers}": (
            0.0,
            f"bytes of a passage in {numbers} without approximate index; 0 takes the measured ones",
        )
        for numbers in NUMBERS
    },
}


SPREAD, WORDS = 2_654_435_761, "of some words " * 40  # ids in no order


class Waiting:
    """An encoder that only sleeps, simulating a GPU; its vectors are meaningless."""

    name = "waiting"

    def __init__(self, milliseconds, dimension):
        self.milliseconds, self.dimension = milliseconds, dimension

    def __call__(self, texts, role):
        if role == "passage":
            time.sleep(self.milliseconds * len(texts) / 1000)
        return [[1.0 + len(text) % 7, *[1.0] * (self.dimension - 1)] for text in texts]


class Noise:
    """An encoder of random numbers seeded by the text: like real vectors, they do not compress."""

    name = "noise"

    def __init__(self, dimension):
        self.dimension = dimension

    def __call__(self, texts, role):
        return [np.random.default_rng(zlib.crc32(text.encode())).normal(size=self.dimension) for text in texts]


class Timed:
    """An executor that records when each result arrives."""

    def __init__(self, inner):
        self.inner, self.workers, self.at = inner, inner.workers, []

    def run(self, opener, tasks):
        for task, rows in self.inner.run(opener, tasks):
            self.at.append((time.perf_counter(), len(rows)))
            yield task, rows


def building(task):
    """Seconds to build an index, and passages per second while all workers are busy."""
    shards.CHUNK = task["shard"]
    executor = Timed(OnRay(workers=task["workers"]) if task["workers"] else Here())
    model = open_embedder(task["model"]) if task["model"] else Waiting(task["wait"], task["dimension"])
    with tempfile.TemporaryDirectory() as scratch:
        docs, folder = written(Path(scratch) / "docs.jsonl", task["size"]), Path(scratch) / "index"
        started = time.perf_counter()
        built = build_index([docs], folder, model, name="m", executor=executor)
        seconds = time.perf_counter() - started
    full = executor.at[max(0, executor.workers - 1) :]
    return {
        "seconds": seconds,
        "rate": sum(rows for _, rows in full[1:]) / (full[-1][0] - full[0][0]),
        "passages": built.version.passages,
    }


def written(path, size):
    """Write passages as a JSONL file and return its path."""
    with path.open("w", encoding="utf-8") as out:
        out.writelines(
            json.dumps({"id": each["docid"], "title": each["title"], "text": each["text"], "lang": "en"}) + "\n"
            for each in passages(size)
        )
    return path


def keeping(task):
    """Bytes on disk per additional passage, for each number format."""
    figures = {}
    for numbers in NUMBERS:
        points = []
        for size in (task["size"], 4 * task["size"]):
            with tempfile.TemporaryDirectory() as scratch:
                docs, folder = written(Path(scratch) / "docs.jsonl", size), Path(scratch) / "index"
                built = build_index([docs], folder, Noise(task["dimension"]), name="m", numbers=numbers)
                disk = bytes_below(folder)
            points.append((built.version.passages, disk))
        (few, less), (many, more) = points
        figures[numbers] = (more - less) / (many - few)
    return figures


def planning(task):
    """Measure the driver alone: documents per CPU second, and peak memory."""

    class Nobody:
        workers = 1

        def run(self, opener, tasks):
            before, started, self.count = rss(), time.process_time(), 0
            for shard in tasks:
                self.count += len(shard.documents)
            self.seconds, self.memory = time.process_time() - started, peak() - before
            raise KeyboardInterrupt
            yield

    nobody = Nobody()
    with tempfile.TemporaryDirectory() as scratch:
        docs = Path(scratch) / "docs.jsonl"
        with docs.open("w", encoding="utf-8") as out:
            out.writelines(
                json.dumps({"id": f"{n * SPREAD % 10**12:012}", "text": f"Passage {n} {WORDS}", "lang": "en"}) + "\n"
                for n in range(task["size"])
            )
        with suppress(KeyboardInterrupt):
            build_index([docs], Path(scratch) / "index", Waiting(0, 8), name="m", executor=nobody)
    return {"rate": nobody.count / nobody.seconds, "bytes": nobody.memory, "documents": nobody.count}


def driver(results):
    """Print the driver's figures, and return its memory in bytes by ascending number of documents."""
    plans = [found for name, found in results.items() if name.startswith("plan-")]
    for found in plans:
        rate, megabytes = median(found, "rate"), median(found, "bytes") / 1e6
        print(f"driver: {found[0]['documents']:,} records read and planned", end=", ")
        print(f"{rate:,.0f} a second of a core, in {megabytes:.0f} MB of memory")
    return [median(found, "bytes") for found in plans]


def growth(plans, memories):
    """The goal for the driver's memory per additional document; none at small sizes, which are kept in memory."""
    if len(plans) < 2 or plans[0] < 2 * MOST:
        return []
    return [("driver-bytes-a-document", (memories[-1] - memories[0]) / (plans[-1] - plans[0]), 30, False)]


def projected(count, numbers, args, disk, read, memory, efficiency):
    """Project hours, dollars, gigabytes and milliseconds for a number of passages, one per document."""
    encode = count / (args.gpu_rate * args.workers * efficiency)
    plan = count / (args.drivers_rate or read)
    hours = max(encode, plan) / 3600
    # The ANN index stores half a byte per dimension, three factors and the row's address; int8 has no ANN index.
    approximate = 0 if numbers == "int8" else args.dimension / 2 + 23
    share = 1 if numbers == "int8" else args.probes / math.sqrt(count)
    read_bytes = share * count * (args.dimension if numbers == "int8" else approximate)
    gigabytes = (disk[numbers] + approximate) * count / 1e9
    return {
        "encode_hours": encode / 3600,
        "plan_hours": plan / 3600,
        "hours": hours,
        "workers_that_one_driver_feeds": (args.drivers_rate or read) / (args.gpu_rate * efficiency),
        "dollars": hours * (args.workers + 1) * args.price_per_hour,
        "gigabytes": gigabytes,
        # Until the commit the driver also stores the finished shards, in 32 bits, and hashes of documents.
        "driver_disk_gigabytes": gigabytes + (disk["float32"] + 130) * count / 1e9,
        "driver_memory_gigabytes": memory / 1e9,
        "pull_minutes": gigabytes / args.network / 60,
        "search_nvme_milliseconds": read_bytes / args.nvme / 1e6,
        "search_store_milliseconds": 2 * args.round_trip + read_bytes / args.network / 1e6,
    }


def main():
    made = parser(__doc__)
    made.add_argument("--model", help="an encoder; one that waits when not given")
    made.add_argument("--wait", type=float, default=50.0, help="milliseconds a passage")
    made.add_argument("--plan", type=int, nargs="+", metavar="DOCUMENTS", help="only read and plan so many records")
    made.add_argument("--passages", type=int, nargs="+", default=[10**8, 10**9], help="to project to")
    for name, (value, what) in ASSUMED.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, help=f"{what} ({value:g})")
    made.set_defaults(repeats=3)
    args = made.parse_args()
    if args.child:
        task = json.loads(args.child)
        print(json.dumps({"build": building, "plan": planning, "keep": keeping}[task["run"]](task)))
        return
    plans = args.plan or ([20_000, 40_000] if args.quick else [500_000, 1_000_000])
    planned = {f"plan-{count}": {"run": "plan", "size": count} for count in plans}
    if args.plan:
        results = interleaved(__file__, planned, args.repeats)
        finish(growth(plans, driver(results)), {"results": results}, args.json)
    size, shard = (256, 16) if args.quick else (1024, 32)
    common = {"size": size, "shard": shard, "model": args.model, "wait": args.wait, "dimension": args.dimension}
    tasks = {f"{workers}": {"run": "build", "workers": workers, **common} for workers in (0, 1, 2, 4)}
    tasks |= planned
    tasks["keep"] = {"run": "keep", "size": 500 if args.quick else 2000, "dimension": args.dimension}
    results = interleaved(__file__, tasks, 1 if args.quick else args.repeats)
    here = median(results["0"], "rate")
    efficiency = {w: median(results[str(w)], "rate") / (w * here) for w in (1, 2, 4)}
    print(f"{os.cpu_count()} cores; passages a second and seconds for {results['0'][0]['passages']}, start included:")
    print(f"  one process  {here:8.1f}  {median(results['0'], 'seconds'):6.1f} s")
    for w, share in efficiency.items():
        rate, seconds = median(results[str(w)], "rate"), median(results[str(w)], "seconds")
        print(f"  {w} worker{'s' if w > 1 else ' '}    {rate:8.1f}  {seconds:6.1f} s  efficiency {share:.2f}")
    memories = driver(results)
    memory = memories[-1]  # hardly grows with the number of documents, see LargeDict
    read = median(results[f"plan-{plans[-1]}"], "rate")
    disk = {each: getattr(args, f"bytes_{each}") or median(results["keep"], each) for each in NUMBERS}
    print("bytes a passage on disk: " + ", ".join(f"{each} {value:.0f}" for each, value in disk.items()))
    assumed = {name: getattr(args, name) for name in ASSUMED}
    print("assumed: " + "; ".join(f"{ASSUMED[name][1]} {value:g}" for name, value in assumed.items()))
    share = min(1.0, efficiency[4])
    curve = {n: {each: projected(n, each, args, disk, read, memory, share) for each in NUMBERS} for n in args.passages}
    for n, kinds in curve.items():
        for each, figures in kinds.items():
            told = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
            print(f"{n:,} passages in {each}: {told}")
    finish(
        [*((f"efficiency-{w}", share, 0.8, True) for w, share in efficiency.items()), *growth(plans, memories)],
        {"assumed": assumed, "efficiency": efficiency, "curve": curve, "results": results, "wait": args.wait},
        args.json,
    )


if __name__ == "__main__":
    main()
