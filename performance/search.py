"""Build time, disk, latency and recall@10 of vector search: isoglot, LanceDB directly, and faiss, on the same vectors.

    python performance/search.py                       # 10,000 and 100,000 vectors
    python performance/search.py --rows 1000000 --json results/search-1e6.json
    python performance/search.py --quick
    python performance/search.py --curve results/search/*.json   # extrapolate records to 10^8 vectors; no run

Vectors: 384 dimensions, float32, unit length: one of 1000 random unit centres plus Gaussian noise of length 0.8 (in
expectation), seed 0. Queries come from the same clusters but are not among the vectors: 200 for choosing the number of
probes, the others for measuring. k = 10, one client, warm. Every system runs in its own child process; memory is its
peak above what it held after imports. isoglot and LanceDB's direct call alternate in one process, query by query.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from curve import fit
from harness import bytes_below, machine, peak

DIMENSION, CLUSTERS, NOISE, K = 384, 1000, 0.8, 10
TUNED_ON = 200
SYSTEMS = ("faiss-flat", "faiss-ivf", "faiss-hnsw", "isoglot")
WANTED_RECALL, WANTED_P99, WANTED_RATIO = 0.95, 30.0, 1.15


def generate(rows: int, seed: int) -> np.ndarray:
    """Generate unit vectors (rows, 384) around the 1000 centres."""
    centres = np.random.default_rng(0).normal(size=(CLUSTERS, DIMENSION)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    vectors = np.empty((rows, DIMENSION), np.float32)
    for start in range(0, rows, 65_536):
        size = min(65_536, rows - start)
        part = rng.standard_normal((size, DIMENSION), np.float32) * np.float32(NOISE / DIMENSION**0.5)
        part += centres[rng.integers(CLUSTERS, size=size)]
        vectors[start : start + size] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def truth(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The exact ten nearest vectors of each query, computed in blocks."""
    best = np.full((len(queries), K), -2.0, np.float32)
    which = np.zeros((len(queries), K), np.int64)
    for start in range(0, len(vectors), 100_000):
        scores = queries @ vectors[start : start + 100_000].T
        near = np.argpartition(-scores, min(K, scores.shape[1] - 1), axis=1)[:, :K]
        both = np.concatenate([best, np.take_along_axis(scores, near, axis=1)], axis=1)
        keys = np.concatenate([which, near + start], axis=1)
        order = np.argsort(-both, axis=1)[:, :K]
        best, which = np.take_along_axis(both, order, axis=1), np.take_along_axis(keys, order, axis=1)
    return which


def recall(found, right) -> float:
    """recall@10: the mean share of the true ten nearest that were found."""
    return float(np.mean([len(set(map(int, f)) & set(map(int, r))) / K for f, r in zip(found, right, strict=True)]))


def timed(search, queries):
    """Results and milliseconds of every query, after 20 warm-up queries."""
    for query in queries[:20]:
        search(query)
    found, spent = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query))
        spent.append(1000 * (time.perf_counter() - started))
    return found, spent


def figures(search, queries, right):
    """p50, p99 and recall of a search function."""
    found, spent = timed(search, queries)
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "recall@10": round(recall(found, right), 4)}


def child_faiss(kind: str, folder: Path):
    """Measure one faiss index."""
    import faiss

    before = peak() / 2**20
    vectors, queries, right = load_data(folder)
    started = time.perf_counter()
    tune = None
    if kind == "flat":
        index = faiss.IndexFlatIP(DIMENSION)
    elif kind == "ivf":
        lists = max(16, int(len(vectors) ** 0.5))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIMENSION), DIMENSION, lists, faiss.METRIC_INNER_PRODUCT)
        index.train(vectors[: 64 * lists])
        tune = (lambda value: setattr(index, "nprobe", value)), lists
    else:
        index = faiss.IndexHNSWFlat(DIMENSION, 32, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 100
        tune = (lambda value: setattr(index.hnsw, "efSearch", value)), 1024
    index.add(vectors)
    built = time.perf_counter() - started

    def search(query):
        return index.search(query[None], K)[1][0]

    setting = None
    if tune:
        for setting in (8, 16, 32, 64, 128, 256, 512, 1024):
            tune[0](min(setting, tune[1]))
            found = [search(query) for query in queries[:TUNED_ON]]
            if setting >= tune[1] or recall(found, right[:TUNED_ON]) >= WANTED_RECALL + 0.01:
                break
    path = folder / f"faiss-{kind}"
    faiss.write_index(index, str(path))
    disk = path.stat().st_size
    path.unlink()
    result = figures(search, queries[TUNED_ON:], right[TUNED_ON:])
    return [{"system": f"faiss-{kind}", "build_s": round(built, 2), "disk_mb": round(disk / 2**20, 1), **result,
             "setting": setting, "memory_mb": round(peak() / 2**20 - before)}]  # fmt: skip


def child_isoglot(folder: Path):
    """Measure isoglot's index without and with ANN, each beside LanceDB's direct call on the same table."""
    from isoglot.search.index.lance import LanceIndex
    from isoglot.search.index.manifest import Manifest
    from isoglot.search.index.publishing import publish
    from isoglot.search.index.store import Store
    from isoglot.search.passage import Passage

    before = peak() / 2**20
    vectors, queries, right = load_data(folder)
    home = folder / "index"
    started = time.perf_counter()
    store = Store(home, DIMENSION)
    for start in range(0, len(vectors), 16_384):
        part = range(start, min(start + 16_384, len(vectors)))
        passages = [Passage(str(n), str(n), f"passage {n}", "en", source="generated") for n in part]
        store.put(passages, [str(n) for n in part], np.asarray(vectors[start : start + 16_384]))
    store.read_state()
    manifest = Manifest("generated", DIMENSION, 192, [])
    manifest = publish(home, store, manifest, ann_from=2**62)
    built = time.perf_counter() - started
    found = measure_pair("exact", LanceIndex(home), queries, right, built, home)
    started = time.perf_counter()
    publish(home, store, manifest, ann_from=0)
    built_ann = time.perf_counter() - started
    index = LanceIndex(home)
    found += measure_pair("ann", index, queries, right, built + built_ann, home)
    for entry in found:
        entry["memory_mb"] = round(peak() / 2**20 - before)
        if "ann" in entry["system"]:
            entry["setting"] = index.manifest.version.ann
    return found


def measure_pair(what: str, index, queries, right, built: float, home: Path):
    """Measure isoglot's call and LanceDB's direct call, alternating query by query."""
    from isoglot.search.index.passages_table import SHOWN

    ann, table = index.manifest.version.ann, index._table

    def own(query):
        call = table.search(query, vector_column_name="vector").distance_type("cosine").limit(K)
        call = call.bypass_vector_index() if ann is None else call.nprobes(ann["probes"]).refine_factor(ann["refine"])
        return [int(row["id"]) for row in call.select([*SHOWN, "_distance"]).to_list()]

    def ours(query):
        return [int(found.passage.id) for found in index.nearest(query, K)]

    measured = queries[TUNED_ON:]
    ways = {"isoglot": ours, "lancedb": own}
    spent = {name: [] for name in ways}
    results = {name: [] for name in ways}
    for query in measured[:20]:
        ours(query), own(query)
    for number, query in enumerate(measured):
        for name in sorted(ways, reverse=bool(number % 2)):
            started = time.perf_counter()
            results[name].append(ways[name](query))
            spent[name].append(1000 * (time.perf_counter() - started))
    disk = bytes_below(home) / 2**20
    ratio = float(np.median(np.array(spent["isoglot"]) / np.array(spent["lancedb"])))
    found = []
    for name in ways:
        p50, p99 = np.percentile(spent[name], [50, 99])
        found.append({"system": f"{name}-{what}", "build_s": round(built, 2), "disk_mb": round(disk, 1),
                      "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3),
                      "recall@10": round(recall(results[name], right[TUNED_ON:]), 4)})  # fmt: skip
    found[0]["over_lancedb"] = round(ratio, 3)
    return found


def load_data(folder: Path):
    """Load vectors (memory-mapped), queries, and the queries' true ten nearest."""
    return (np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "queries.npy"),
            np.load(folder / "truth.npy"))  # fmt: skip


def query_encoding():
    """Median milliseconds to encode one query with the embedded model; None without it."""
    try:
        from isoglot.core.errors import IsoglotError
        from isoglot.encoders.encoding import encode
        from isoglot.encoders.loading import load, quiet_libraries

        quiet_libraries()
        model = load("embedded")
    except (ImportError, IsoglotError):
        return None
    spent = []
    for number in range(25):
        started = time.perf_counter()
        encode(model, [f"How high is mountain number {number}?"], "query")
        spent.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(spent[5:])), 2)


def run(rows: int, measured: int, systems):
    """Measure all systems at one size and yield each result; a system that fails yields a record with its error."""
    with TemporaryDirectory(prefix="isoglot-bench-") as scratch:
        folder = Path(scratch)
        vectors, queries = generate(rows, 1), generate(TUNED_ON + measured, 2)
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        np.save(folder / "truth.npy", truth(vectors, queries))
        del vectors
        for system in systems:
            done = subprocess.run(
                [sys.executable, __file__, "--child", system, "--folder", str(folder)], capture_output=True, text=True
            )
            found = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None
            for entry in found or [{"system": system, "error": done.stderr[-2000:] or f"exit {done.returncode}"}]:
                print(json.dumps({"rows": rows, **entry}), file=sys.stderr)
                yield {"rows": rows, **entry}


def cost_curve(entries: list[dict], rows: float = 1e8) -> list[dict]:
    """Fit build time, disk and latency over all measured sizes, and extrapolate to `rows`.

    Disk and exact search have a fixed cost and a cost per row. Building also compares each row with as many centroids
    as the square root of the rows. An ANN search has a fixed cost, and a cost per centroid and per row of the probed
    partitions; at `rows` it probes as many partitions as at the largest size.
    """
    # isoglot searches small indexes in memory, which would not hold `rows` vectors: use LanceDB's figures instead.
    exact = [entry for entry in entries if entry["system"] == "lancedb-exact" and "error" not in entry]
    ann = [entry for entry in entries if entry["system"] == "isoglot-ann" and "error" not in entry]
    if len({entry["rows"] for entry in exact}) < 2 or len({entry["rows"] for entry in ann}) < 2:
        return []  # one size says nothing about growth
    largest = max(ann, key=lambda entry: entry["rows"])
    target = {"rows": rows, "setting": {**largest["setting"], "partitions": int(rows**0.5)}}

    def by_row(entry):
        return entry["rows"], 1.0

    def clustered(entry):
        return entry["rows"], 1.0, entry["rows"] ** 1.5

    def probed(entry):
        setting = entry["setting"]
        return setting["partitions"] + setting["probes"] * entry["rows"] / setting["partitions"], 1.0

    found = []
    for key, own, terms in (
        ("build_s", ann, clustered),
        ("disk_mb", ann, by_row),
        ("p50_ms", exact, by_row),
        ("p50_ms", ann, probed),
    ):
        made = fit([terms(entry) for entry in own], [entry[key] for entry in own])
        points = [{"rows": e["rows"], "measured": e[key], "fitted": round(made.at(terms(e)), 3)} for e in own]
        found.append({"what": f"{own[0]['system']} {key}", **made._asdict(), "points": points, "rows": rows,
                      "read_off": made.at(terms(target)), "probes": target["setting"]["probes"]})  # fmt: skip
    return found


def in_words(curve: list[dict]) -> str:
    """Describe the extrapolation to 10^8 passages and its assumptions in a paragraph."""
    if not curve:
        return "two sizes of isoglot's index or more make a cost curve: --rows 10000,100000, or --curve with records"
    build, disk, exact, ann = (made["read_off"] for made in curve)
    sizes = sorted({point["rows"] for point in curve[0]["points"]})
    return (
        f"10^8 passages of {DIMENSION} dimensions, fitted over {', '.join(map(str, sizes))} rows: "
        f"{disk / 1024:.0f} GiB on disk, {build / 3600:.1f} hours to store and index (encoding apart), "
        f"{exact / 1000:.1f} s a query for exact search and {ann:.0f} ms for ANN search at "
        f"{curve[3]['probes']} of 10000 partitions. Assumed: the page cache holds all that is searched "
        "(otherwise the disk decides), cores and load are as they were here, one client, "
        "and as many probes as at the largest size, of which the recall at 10^8 is not known."
    )


def print_curve(curve: list[dict]) -> None:
    """Print a line per fit: measured and fitted costs at every size, and the extrapolated cost."""
    for made in curve:
        points = ", ".join(f"{point['rows']}: {point['measured']} ({point['fitted']})" for point in made["points"])
        print(f"CURVE {made['what']}, measured (fitted) at {points}; read off at {made['rows']:.0e}: "
              f"{made['read_off']:.4g}")  # fmt: skip


def main() -> None:
    """Measure, print, and compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--quick", action="store_true", help="2,000 vectors and 100 queries")
    parser.add_argument("--json", type=Path, help="the record; written after every system")
    parser.add_argument("--curve", type=Path, nargs="+", help="records to fit the cost curve over; nothing is measured")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    systems = args.systems.split(",")
    if set(systems) - set(SYSTEMS):
        parser.error(f"--systems {args.systems}: there are {', '.join(SYSTEMS)}")
    if args.child:
        kind = args.child.partition("-")[2]
        found = child_isoglot(args.folder) if args.child == "isoglot" else child_faiss(kind, args.folder)
        print(json.dumps(found))
        return
    if args.curve:
        entries = [entry for path in args.curve for entry in json.loads(path.read_text(encoding="utf-8"))["entries"]]
        curve = cost_curve(sorted(entries, key=lambda entry: entry["rows"]))
        print_curve(curve)
        print(in_words(curve))
        return
    sizes = [2000] if args.quick else [int(float(size)) for size in args.rows.split(",")]
    entries, interrupted, encoding = [], False, None
    record = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "load": os.getloadavg()}
    try:
        for rows in sizes:
            for entry in run(rows, 100 if args.quick else args.queries, systems):
                entries.append(entry)
                keep(args.json, {**record, "entries": entries, "complete": False})
        encoding = None if args.quick else query_encoding()
    except KeyboardInterrupt:
        interrupted = True
    failed = [entry for entry in entries if "error" in entry]
    done = [entry for entry in entries if "error" not in entry]
    columns = ("rows", "system", "build_s", "disk_mb", "p50_ms", "p99_ms", "recall@10", "over_lancedb", "memory_mb")
    print(" | ".join(columns))
    for entry in done:
        print(" | ".join(str(entry.get(column, "")) for column in columns))
    if encoding is not None:
        print(f"encoding one query with the embedded model: {encoding} ms")
    curve = cost_curve(done)
    print_curve(curve)
    print(in_words(curve))
    missed = goals(done)
    keep(args.json, {**record, "entries": entries, "complete": not (interrupted or failed),
                     "query_encoding_ms": encoding, "curve": curve, "at_1e8": in_words(curve)})  # fmt: skip
    for entry in failed:
        print(f"{entry['system']} failed at {entry['rows']} rows:\n{entry['error']}", file=sys.stderr)
    sys.exit(130 if interrupted else 1 if failed else 3 if missed else 0)


def goals(entries: list[dict]) -> bool:
    """Print one line per goal; return whether any was missed."""
    missed = False
    for entry in entries:
        if entry["system"] not in ("isoglot-ann", "isoglot-exact"):
            continue
        size = entry["rows"]
        wanted = [(f"{entry['system']}-over-lancedb-{size}", entry["over_lancedb"], WANTED_RATIO, "<=")]
        if entry["system"] == "isoglot-ann" and size >= 100_000:
            wanted += [(f"ann-recall@10-{size}", entry["recall@10"], WANTED_RECALL, ">="),
                       (f"ann-p99-ms-{size}", entry["p99_ms"], WANTED_P99, "<=")]  # fmt: skip
        for name, value, goal, sign in wanted:
            reached = value >= goal if sign == ">=" else value <= goal
            missed |= not reached
            print(f"GOAL {name} {value} {sign}{goal} {'reached' if reached else 'missed'}")
    return missed


def keep(path, record: dict) -> None:
    """Write the record so far, atomically."""
    if path:
        from isoglot.core.files import write_json

        write_json(path, record)


if __name__ == "__main__":
    main()
