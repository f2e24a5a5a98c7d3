"""Build time, disk, latency and recall@10 of searching: isoglot, LanceDB's own call, and faiss, on the same vectors.

    python benchmarks/search.py                       # 10,000 and 100,000 vectors
    python benchmarks/search.py --rows 1000000 --json results/search-1e6.json
    python benchmarks/search.py --quick

Vectors: 384 dimensions, float32, unit length: one of 1000 random unit centres plus Gaussian noise of length 0.8 (in
expectation), seed 0. Queries come from the same clusters and are not among the vectors: 200 to choose probes, others
to measure. k = 10, one client, warm. Every system runs in its own child process; memory is its peak above what it
held after imports. isoglot's path and LanceDB's own call run interleaved in one process, query by query.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

DIMENSION, CLUSTERS, NOISE, K = 384, 1000, 0.8, 10
TUNED_ON = 200
SYSTEMS = ("faiss-flat", "faiss-ivf", "faiss-hnsw", "isoglot")
WANTED_RECALL, WANTED_P99, WANTED_RATIO = 0.95, 30.0, 1.15


def generate(rows: int, seed: int) -> np.ndarray:
    """Unit vectors (rows, 384) around the 1000 centres."""
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
    """Exact ten nearest of each query, by blocks of vectors."""
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
    """Mean share of the true ten that were found."""
    return float(np.mean([len(set(map(int, f)) & set(map(int, r))) / K for f, r in zip(found, right, strict=True)]))


def timed(search, queries):
    """Results, and milliseconds of every query after 20 to warm up."""
    for query in queries[:20]:
        search(query)
    found, spent = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(search(query))
        spent.append(1000 * (time.perf_counter() - started))
    return found, spent


def figures(search, queries, right):
    """p50, p99 and recall of one way to search."""
    found, spent = timed(search, queries)
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "recall@10": round(recall(found, right), 4)}


def peak_mb() -> float:
    """Peak memory of this process so far (of this program alone: ru_maxrss would count the parent's too)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def child_faiss(kind: str, folder: Path):
    """One faiss index."""
    import faiss

    before = peak_mb()
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
             "setting": setting, "memory_mb": round(peak_mb() - before)}]  # fmt: skip


def child_isoglot(folder: Path):
    """Isoglot's index without and with ANN, each beside LanceDB's own call on the same table."""
    from isoglot.index.lance import LanceIndex
    from isoglot.index.manifest import Manifest
    from isoglot.index.protocol import Passage
    from isoglot.index.publish import publish
    from isoglot.index.store import Store

    before = peak_mb()
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
        entry["memory_mb"] = round(peak_mb() - before)
        if "ann" in entry["system"]:
            entry["setting"] = index.manifest.version.ann
    return found


def measure_pair(what: str, index, queries, right, built: float, home: Path):
    """Isoglot's call and LanceDB's own, query by query in turn."""
    from isoglot.index.lance import SHOWN

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
    disk = sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 2**20
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
    """Vectors (memory-mapped), queries and their true ten."""
    return (np.load(folder / "vectors.npy", mmap_mode="r"), np.load(folder / "queries.npy"),
            np.load(folder / "truth.npy"))  # fmt: skip


def query_encoding():
    """Milliseconds to encode one query with the embedded model; None without it."""
    try:
        from isoglot.encode import encode
        from isoglot.errors import IsoglotError
        from isoglot.model import load, quiet_libraries

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


def run(rows: int, measured: int, systems) -> list[dict]:
    """All systems on one size."""
    with TemporaryDirectory(prefix="isoglot-bench-") as scratch:
        folder = Path(scratch)
        vectors, queries = generate(rows, 1), generate(TUNED_ON + measured, 2)
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        np.save(folder / "truth.npy", truth(vectors, queries))
        del vectors
        found = []
        for system in systems:
            done = subprocess.run(
                [sys.executable, __file__, "--child", system, "--folder", str(folder)], capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"{system} failed:\n{done.stderr}")
            own = [{"rows": rows, **entry} for entry in json.loads(done.stdout.splitlines()[-1])]
            found += own
            for entry in own:
                print(json.dumps(entry), file=sys.stderr)
        return found


def extrapolation(entries: list[dict]) -> str:
    """What 10^8 passages would take, from the largest size measured."""
    ann = [entry for entry in entries if entry["system"] == "isoglot-ann"]
    exact = [entry for entry in entries if entry["system"] == "isoglot-exact"]
    if not ann:
        return ""
    last, flat = ann[-1], exact[-1]
    factor = 1e8 / last["rows"]
    probes = last["setting"]["probes"] / last["setting"]["partitions"]
    return (
        f"From {last['rows']} to 10^8 passages, by proportion: {last['disk_mb'] * factor / 1024:.0f} GiB on disk and "
        f"{last['build_s'] * factor / 3600:.1f} hours to store and index (encoding apart); exact search would take "
        f"{flat['p50_ms'] * factor / 1000:.1f} s a query. The ANN index reads {probes:.1%} of its partitions at "
        f"{last['rows']} rows; with as many partitions as the square root of the rows, the work of a query grows with "
        f"that root: about {last['p50_ms'] * factor**0.5:.0f} ms at the same number of probes, if the table fits the "
        "page cache."
    )


def main() -> None:
    """Measure, print, compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    parser.add_argument("--quick", action="store_true", help="2,000 vectors and 100 queries")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        kind = args.child.partition("-")[2]
        found = child_isoglot(args.folder) if args.child == "isoglot" else child_faiss(kind, args.folder)
        print(json.dumps(found))
        return
    sizes = [2000] if args.quick else [int(float(size)) for size in args.rows.split(",")]
    entries = []
    for rows in sizes:
        entries += run(rows, 100 if args.quick else args.queries, args.systems.split(","))
    encoding = None if args.quick else query_encoding()
    columns = ("rows", "system", "build_s", "disk_mb", "p50_ms", "p99_ms", "recall@10", "over_lancedb", "memory_mb")
    print(" | ".join(columns))
    for entry in entries:
        print(" | ".join(str(entry.get(column, "")) for column in columns))
    if encoding is not None:
        print(f"encoding one query with the embedded model: {encoding} ms")
    words = extrapolation(entries)
    print(words)
    missed = False
    for entry in entries:
        if entry["system"] not in ("isoglot-ann", "isoglot-exact"):
            continue
        size = entry["rows"]
        goals = [(f"{entry['system']}-over-lancedb-{size}", entry["over_lancedb"], WANTED_RATIO, "<=")]
        if entry["system"] == "isoglot-ann" and size >= 100_000:
            goals += [(f"ann-recall@10-{size}", entry["recall@10"], WANTED_RECALL, ">="),
                      (f"ann-p99-ms-{size}", entry["p99_ms"], WANTED_P99, "<=")]  # fmt: skip
        for name, value, wanted, sign in goals:
            reached = value >= wanted if sign == ">=" else value <= wanted
            missed |= not reached
            print(f"GOAL {name} {value} {sign}{wanted} {'reached' if reached else 'missed'}")
    if args.json:
        from isoglot.files import write_json

        machine = {"platform": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg()}
        command = " ".join(["python", *sys.argv])
        write_json(args.json, {"command": command, "machine": machine, "entries": entries,
                               "query_encoding_ms": encoding, "at_1e8": words})  # fmt: skip
    sys.exit(3 if missed else 0)


if __name__ == "__main__":
    main()
