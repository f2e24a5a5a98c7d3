"""Planning batches from millions of rows: time to the first batch, pairs per second, memory, and their growth.

python performance/sampler.py              # 10^5, 10^6 and 10^7 synthetic rows in 12 languages
python performance/sampler.py --quick      # up to 10^6
"""

import json
import math
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import harness

LANGUAGES = ("ar", "bn", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
BATCH = 128


def main():
    arguments = harness.parser(__doc__)
    arguments.add_argument("--rows", help="comma-separated numbers of rows; the last one is held to the goals")
    arguments.add_argument("--folder", type=Path, help="where prepared rows go (3 GB for 10^7; a temporary folder)")
    given = arguments.parse_args()
    if given.child:
        print(json.dumps(child(json.loads(given.child))))
        return
    sizes = [int(float(size)) for size in (given.rows or ("1e5,1e6" if given.quick else "1e5,1e6,1e7")).split(",")]
    table = []
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        names = ("rows", "prepare s", "memory MB", "open s", "first s", "us/pair", "memory MB")
        print(" ".join(f"{name:>9}" for name in names))
        for size in sizes:
            file, folder = Path(scratch) / f"{size}.jsonl", Path(scratch) / str(size)
            harness.in_child(__file__, {"what": "write", "rows": size, "file": str(file)})
            prepared = harness.in_child(__file__, {"what": "prepare", "file": str(file), "folder": str(folder)})
            file.unlink()
            repeats = 1 if given.quick else given.repeats
            planned = [harness.in_child(__file__, {"what": "plan", "folder": str(folder)}) for _ in range(repeats)]
            entry = {"rows": size, "prepare": prepared}
            for key in ("open", "first", "pairs_per_second", "memory"):
                entry[key] = harness.median(planned, key)
            table.append(entry)
            print(
                f"{size:9} {prepared['seconds']:9.1f} {prepared['memory'] / 1e6:9.0f} {entry['open']:9.2f} "
                f"{entry['first']:9.2f} {1e6 / entry['pairs_per_second']:9.2f} {entry['memory'] / 1e6:9.0f}",
                flush=True,
            )
    smallest, largest = table[0], table[-1]
    if len(table) < 2:
        sys.exit("--rows: give at least two sizes, for a curve")
    growth = smallest["pairs_per_second"] / largest["pairs_per_second"]
    costs = [1e6 / entry["pairs_per_second"] for entry in table]
    slope = (costs[-1] - costs[0]) / math.log10(largest["rows"] / smallest["rows"])
    estimate = {
        "rows": 10**9,
        "us_per_pair": costs[-1] + slope * math.log10(10**9 / largest["rows"]),
        "first_batch_s": largest["first"] * 10**9 / largest["rows"] if largest["first"] > 1 else largest["first"],
        "memory_gb": largest["memory"] / 1e9 * 10**9 / largest["rows"],
        "prepare_hours": largest["prepare"]["seconds"] / 3600 * 10**9 / largest["rows"],
        "prepare_memory_gb": largest["prepare"]["memory"] / 1e9
        + (largest["prepare"]["memory"] - smallest["prepare"]["memory"])
        / (largest["rows"] - smallest["rows"])
        * (10**9 - largest["rows"])
        / 1e9,
    }
    print(
        f"estimate for 10^9 rows, from this curve: {estimate['us_per_pair']:.1f} us a pair, at most "
        f"{estimate['memory_gb']:.1f} GB private memory (if it grew with the rows); preparing them: "
        f"{estimate['prepare_hours']:.0f} hours, {estimate['prepare_memory_gb']:.1f} GB"
    )
    goals = [
        ("first-batch-seconds", largest["open"] + largest["first"], 10, False),
        ("planned-pairs-per-second", largest["pairs_per_second"], 200_000, True),
        ("private-memory-gb", largest["memory"] / 1e9, 1.5, False),
        ("cost-of-a-batch-growth", growth, 2.0, False),
        ("prepare-memory-gb", largest["prepare"]["memory"] / 1e9, 1.0, False),
    ]
    harness.finish(goals, {"table": table, "estimate": estimate}, given.json)


def child(task):
    return {"write": write, "prepare": prepare, "plan": plan}[task["what"]](task)


def write(task):
    """Write synthetic rows: groups in all languages, each language missing with probability 1/8, two data sets."""
    import random

    draw = random.Random(0)
    written = group = 0
    with open(task["file"], "w") as out:
        while written < task["rows"]:
            dataset = "large" if group % 5 else "small"
            for lang in LANGUAGES:
                if draw.random() < 0.125 or written == task["rows"]:
                    continue
                row = {
                    "group": f"g{group}",
                    "lang": lang,
                    "query": f"question {group} in {lang}?",
                    "passage": f"the answer to question number {group}, written in {lang}, is {draw.random():.12f}",
                    "dataset": dataset,
                }
                out.write(json.dumps(row) + "\n")
                written += 1
            group += 1
    return {"rows": written}


def prepare(task):
    from isoglot.data.prepared import prepare

    before = harness.private()
    started = time.perf_counter()
    with watched_memory() as peak:
        prepare([Path(task["file"])], Path(task["folder"]))
    return {"seconds": time.perf_counter() - started, "memory": peak[0] - before}


@contextmanager
def watched_memory():
    """Track the peak anonymous memory (without mapped files) of this process, sampled a hundred times a second."""
    peak, done = [0], threading.Event()

    def look():
        while not done.wait(0.01):
            with open("/proc/self/status") as stream:
                values = dict(line.split(":", 1) for line in stream)
            peak[0] = max(peak[0], int(values["RssAnon"].split()[0]) * 1024)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def plan(task):
    from isoglot.data.prepared import open_prepared
    from isoglot.training.sampling.regimes import Sampling
    from isoglot.training.sampling.sampler import HybridBatchSampler

    before = harness.private()
    started = time.perf_counter()
    rows = open_prepared(Path(task["folder"]))
    opened = time.perf_counter()
    sampler = HybridBatchSampler(rows.table, Sampling(), BATCH, steps=5000)
    batches = sampler.batches()
    next(batches)
    first = time.perf_counter()
    seconds, count = 0.0, 0
    while seconds < 4 and count < 4999:
        next(batches)
        count += 1
        seconds = time.perf_counter() - first
    return {
        "open": opened - started,
        "first": first - opened,
        "pairs_per_second": count * BATCH / seconds,
        "memory": harness.private() - before,
    }


if __name__ == "__main__":
    sys.exit(main())
