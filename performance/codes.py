"""Vector encodings for the ANN index on real texts: bytes per vector, seconds to build, recall@10.

    python performance/codes.py ../shared/data/xquad-r ../shared/data/mlqa-r --json results/codes.json
    python performance/codes.py ../shared/data/xquad-r --quick      # one language's sentences, 100 questions

The vectors are sentences of folders in LAReQA's layout, encoded by a model; the queries are questions of the last
folder. LanceDB builds an index of each kind over the same table, with the same number of partitions; its results are
compared with exact search.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from harness import bytes_below, finish, parser

KINDS = {
    "scalar, 8 bits": ("IvfSq", {}),
    "RaBitQ, 8 bits": ("IvfRq", {"num_bits": 8}),
    "RaBitQ, 4 bits": ("IvfRq", {"num_bits": 4}),
    "RaBitQ, 2 bits": ("IvfRq", {"num_bits": 2}),
    "RaBitQ, 1 bit": ("IvfRq", {"num_bits": 1}),
    "product, 96 x 8 bits": ("IvfPq", {"num_sub_vectors": 96}),
    "product, 48 x 8 bits": ("IvfPq", {"num_sub_vectors": 48}),
}
K, REFINE = 10, 4


def main():
    made = parser(__doc__)
    made.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    made.add_argument("--model", default="embedded")
    made.add_argument("--queries", type=int, default=300)
    args = made.parse_args()
    import lancedb
    import pyarrow as pa

    passages, queries = encoded(args.folders, args.model, 100 if args.quick else args.queries, quick=args.quick)
    exact = [set(line) for line in np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :K].tolist()]
    partitions = max(16, int(len(passages) ** 0.5))
    print(f"{len(passages)} sentences, {len(queries)} questions, {partitions} partitions", file=sys.stderr)
    table = []
    with TemporaryDirectory(prefix="isoglot-codes-") as scratch:
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(passages.ravel()), passages.shape[1])
        rows = pa.table({"row": pa.array(np.arange(len(passages))), "vector": vectors})
        database = lancedb.connect(scratch)
        for name, (kind, how) in KINDS.items():
            if args.quick and kind == "IvfPq":
                continue
            stored = database.create_table("vectors", rows, mode="overwrite")
            table.append({"codes": name, **measured(stored, kind, how, partitions, queries, exact, Path(scratch))})
            print(json.dumps(table[-1]), flush=True)
    finish(
        [], {"sentences": len(passages), "questions": len(queries), "partitions": partitions, "table": table}, args.json
    )


def encoded(folders, name, asked, *, quick):
    """Unit vectors of all sentences (n, d), and of a sample of the last folder's questions (m, d)."""
    from isoglot.data.benchmarks.lareqa import load_lareqa
    from isoglot.encoders.encoding import encode
    from isoglot.encoders.loading import load, quiet_libraries

    quiet_libraries()
    model = load(name)
    opened = [load_lareqa(folder, langs="en" if quick else None) for folder in folders]
    passages = np.concatenate([encode(model, list(one.candidates.texts), "passage").vectors for one in opened])
    texts = list(opened[-1].queries.texts)
    chosen = np.sort(np.random.default_rng(0).choice(len(texts), min(asked, len(texts)), replace=False))
    return passages, encode(model, [texts[at] for at in chosen], "query").vectors


def measured(table, kind, how, partitions, queries, exact, folder):
    """Build one index; return its size, build time, and recall at several numbers of probed partitions."""
    from lancedb import index

    before = bytes_below(folder)
    started = time.perf_counter()
    table.create_index("vector", config=getattr(index, kind)(distance_type="cosine", num_partitions=partitions, **how))
    seconds = time.perf_counter() - started
    found = {"bytes": (bytes_below(folder) - before) / table.count_rows(), "seconds": seconds}
    for label, probes, refine in (
        ("16 read", 16, REFINE),
        ("32 read", 32, REFINE),
        ("all read", partitions, REFINE),
        ("all read, nothing scored again", partitions, None),
    ):
        shares = [recall(table, *pair, probes, refine) for pair in zip(queries, exact, strict=True)]
        found[label] = float(np.mean(shares))
    return {key: round(value, 4) for key, value in found.items()}


def recall(table, query, exact, probes, refine):
    """Share of the exact ten nearest that are found."""
    search = table.search(query, vector_column_name="vector").distance_type("cosine").limit(K).nprobes(probes)
    if refine is not None:
        search = search.refine_factor(refine)
    return len(set(search.select(["row", "_distance"]).to_arrow()["row"].to_pylist()) & exact) / K


if __name__ == "__main__":
    main()
