"""MIRACL at full size: the cost of its English corpus of 33 million passages, projected from measured curves.

    python performance/scale.py
    python performance/scale.py --quick     # a hundredth of the sizes, once

(a) encoding: generated passages of MIRACL's length, in MIRACL's file layout, into shards as written by `isoglot
encode`; and resuming a finished encoding, where everything is read and checked and nothing is encoded. (b) exact
search: 799 queries, as in English dev, in shards of random float16 vectors with the default --memory. (c) bytes on
disk. A straight line is fitted to each curve; its residuals show whether the projection can be trusted. Every point
runs in its own process, interleaved with the others; seconds are medians, and memory is the peak above that before
the work. The vectors here are read from the page cache; the full 25 GB would come from disk.
"""

import json
import os
import random
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import finish, interleaved, machine, median, parser, peak, rss

import isoglot
from isoglot.core.files import write_json
from isoglot.data.benchmarks.miracl import Miracl, load_miracl
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load, quiet_libraries
from isoglot.encoders.to_disk import SIZE, encode_shards, stream_of
from isoglot.encoders.vector_files import COMPLETE, write_shard
from isoglot.measuring.disk_search import DEPTH, MEMORY
from isoglot.measuring.per_query import MONO
from isoglot.measuring.scoring import score_shards

PASSAGES = 32_893_221  # MIRACL's English corpus
QUERIES = 799  # of English dev
DIMENSION = 384


def passages(number):
    """Yield corpus records in MIRACL's format: distinct, English, three to five sentences of the embedded corpus."""
    rows = map(json.loads, (Path(isoglot.__file__).parent / "atlas" / "train.jsonl").open(encoding="utf-8"))
    texts = [row["passage"] for row in rows if row["lang"] == "en"]
    sentences = [part.strip(" .") + "." for text in texts for part in text.split(". ") if len(part) > 40]
    draw = random.Random(0)
    for n in range(number):
        text = f"Of item {n}. {' '.join(draw.sample(sentences, draw.randint(3, 5)))}"
        yield {"docid": f"{n}#0", "title": f"Item {n}", "text": text}


def corpus(folder, number):
    """Write and open a MIRACL in its original layout, with one language and one query."""
    home, documents = folder / "miracl-v1.0-en", folder / "miracl-corpus-v1.0-en"
    for place in (home / "topics", home / "qrels", documents):
        place.mkdir(parents=True)
    (home / "topics" / "topics.miracl-v1.0-en-dev.tsv").write_text("0\twhat is it\n")
    (home / "qrels" / "qrels.miracl-v1.0-en-dev.tsv").write_text("0\tQ0\t0#0\t1\n")
    with (documents / "docs-0.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(record) + "\n" for record in passages(number))
    return load_miracl(folder)


def encoding(task):
    """Seconds to encode, from corpus files to vectors on disk."""
    quiet_libraries()
    model = load(task["model"])
    tokens = []

    def embed(texts, role):
        found = encode(model, texts, role)
        tokens.append(found.tokens)
        return found.vectors

    embed(["warm up"] * 8, "passage")
    tokens.clear()
    with tempfile.TemporaryDirectory() as scratch:
        data, folder = corpus(Path(scratch) / "miracl", task["size"]), Path(scratch) / "vectors"
        folder.mkdir()
        before, started = rss(), time.perf_counter()
        encode_shards(stream_of(data), folder, lambda: embed, {}, size=task["shard"])
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "peak_bytes": peak() - before, "tokens_per_passage": sum(tokens) / task["size"]}


def resuming(task):
    """Seconds to resume a finished encoding: the corpus is read, and each shard's texts are checked."""
    with tempfile.TemporaryDirectory() as scratch:
        data, folder = corpus(Path(scratch) / "miracl", task["size"]), Path(scratch) / "vectors"
        folder.mkdir()
        for _ in range(2):
            before, started = rss(), time.perf_counter()
            done = encode_shards(stream_of(data), folder, lambda: lambda texts, role: np.ones((len(texts), 4)), {})
            seconds = time.perf_counter() - started
        if done:
            raise SystemExit("finished shards were encoded again")
        return {"seconds": seconds, "peak_bytes": peak() - before}


def vectors(folder, number, shard):
    """Write shards of random unit vectors, as `isoglot encode` does; queries first."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    counts = [QUERIES, *(min(shard, number - start) for start in range(0, number, shard))]
    start = 0
    for place, count in enumerate(counts):
        rows = draw.standard_normal((count, DIMENSION), np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        ids = [f"en:{n}" for n in range(count)] if place == 0 else [f"en:{start + n}#0" for n in range(count)]
        role = "passage" if place else "query"
        write_shard(folder / f"shard-{place:06d}.parquet", ids, ["en"] * count, [role] * count, rows.astype("float16"))
        start += count if place else 0


def part(whole, folder, size, shard):
    """Make a folder of the queries and the first `size` passages of a folder of vectors, by symbolic links."""
    folder.mkdir()
    shards = 1 + -(-size // shard)
    for number in range(shards):
        name = f"shard-{number:06d}.parquet"
        os.symlink(whole / name, folder / name)
    write_json(folder / COMPLETE, {"shards": shards, "vectors": QUERIES + size})


def searching(task):
    """Seconds from vectors on disk to all measures."""
    queries = [(f"en:{n}", "en", "?") for n in range(QUERIES)]
    data = Miracl(("en",), queries, {key: [f"{key}#0"] for key, *_ in queries}, frozenset(), {}, "full")
    before, started = rss(), time.perf_counter()
    result = score_shards(data, Path(task["place"]), name="random", depth=DEPTH, memory=MEMORY)
    seconds = time.perf_counter() - started
    if result.candidates != {"en": task["size"]}:
        raise SystemExit(f"{task['size']} passages expected, {result.candidates} searched")
    shards = sorted(Path(task["place"]).glob("shard-*.parquet"))[1:]  # the first holds the queries
    return {
        "seconds": seconds,
        "peak_bytes": peak() - before,
        "disk_bytes": sum(path.stat().st_size for path in shards),
        "recall@100": result.macro(MONO, "recall@100"),
    }


def line(curve, at):
    """Fit a straight line to (size, value) points.

    Returns:
        The fit, its value at size `at`, and its largest residual as a share of the largest value.
    """
    sizes, values = (np.array(side, float) for side in zip(*curve, strict=True))
    slope, start = np.polyfit(sizes, values, 1)
    residual = float(np.abs(values - slope * sizes - start).max() / values.max())
    return {
        "points": [[int(size), float(value)] for size, value in curve],
        "per_passage": float(slope),
        "start": float(start),
        "residual": residual,
        "projected": float(slope * at + start),
    }


def main():
    made = parser(__doc__)
    made.add_argument("--model", default="embedded")
    made.set_defaults(repeats=3)
    args = made.parse_args()
    if args.child:
        task = json.loads(args.child)
        print(json.dumps({"encode": encoding, "resume": resuming, "search": searching}[task["run"]](task)))
        return
    texts, text_shard = ([32, 64, 96], 16) if args.quick else ([1000, 2000, 4000], 500)
    lines = [2000, 4000, 8000] if args.quick else [50_000, 100_000, 200_000]
    sizes, shard = ([1, 2, 4], 4096) if args.quick else ([4, 16, 48], SIZE)
    sizes = [size * shard for size in sizes]
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        vectors(home / "whole", sizes[-1], shard)
        tasks = {f"encode-{n}": {"run": "encode", "size": n, "shard": text_shard, "model": args.model} for n in texts}
        tasks |= {f"resume-{n}": {"run": "resume", "size": n} for n in lines}
        for n in sizes:
            part(home / "whole", home / str(n), n, shard)
            tasks[f"search-{n}"] = {"run": "search", "size": n, "place": str(home / str(n))}
        results = interleaved(__file__, tasks, 1 if args.quick else args.repeats)
    curves = {
        name: line([(n, median(results[f"{kind}-{n}"], key)) for n in points], PASSAGES)
        for name, kind, key, points in (
            ("encode_seconds", "encode", "seconds", texts),
            ("resume_seconds", "resume", "seconds", lines),
            ("search_seconds", "search", "seconds", sizes),
            ("disk_bytes", "search", "disk_bytes", sizes),
        )
    }
    memory = {n: max(found["peak_bytes"] for found in results[f"search-{n}"]) for n in sizes}
    about = machine()
    tokens = results[f"encode-{texts[-1]}"][0]["tokens_per_passage"]
    print(f"For {PASSAGES:,} passages of {tokens:.0f} tokens and {QUERIES} queries, with {args.model} on ", end="")
    print(f"{about['gpu'] or about['processor']}, {about['cores']} cores, {about['threads']} threads:")
    for name, unit, scale in (
        ("encode_seconds", "hours", 3600),
        ("resume_seconds", "minutes", 60),
        ("disk_bytes", "GB", 1e9),
        ("search_seconds", "minutes", 60),
    ):
        found = curves[name]
        print(f"{name:15} {found['projected'] / scale:8.1f} {unit}, residual {found['residual']:.1%}")
    print(f"search memory   {', '.join(f'{bytes_ / 1e6:.0f} MB at {n:,}' for n, bytes_ in memory.items())}")
    finish(
        [
            ("encode-residual", curves["encode_seconds"]["residual"], 0.1, False),
            ("search-residual", curves["search_seconds"]["residual"], 0.1, False),
            ("search-memory-growth", memory[sizes[-1]] / memory[sizes[0]], 1.25, False),
            ("disk-bytes-per-passage", curves["disk_bytes"]["per_passage"], 850, False),
        ],
        {"passages": PASSAGES, "queries": QUERIES, "curves": curves, "search_memory": memory, "results": results},
        args.json,
    )


if __name__ == "__main__":
    main()
