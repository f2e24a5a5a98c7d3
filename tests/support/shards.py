"""Small corpora of vectors on disk."""

import numpy as np

from isoglot.data.benchmarks.miracl import Miracl
from isoglot.encoders.vector_files import write_shard

LANGS = ("de", "th")


def corpus(folder, passages, queries=9, files=4, seed=0, langs=LANGS):
    """Write vectors with few distinct values, so that many scores tie, and languages mixed within each file.

    Returns the data, all scores (queries, passages), and the languages of queries and passages.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    q, p = (rng.integers(0, 2, (n, 6)).astype(np.float32) + np.eye(6, dtype=np.float32)[0] for n in (queries, passages))
    asking, held = ([langs[n] for n in rng.integers(0, len(langs), size)] for size in (queries, passages))
    write_shard(folder / "a.parquet", [f"q{n}" for n in range(queries)], asking, ["query"] * queries, q)
    for number, rows in enumerate(np.array_split(np.arange(passages), files)):
        ids, own = [f"p{n}" for n in rows], [held[n] for n in rows]
        write_shard(folder / f"b{number}.parquet", ids, own, ["passage"] * len(rows), p[rows])
    data = Miracl(
        langs,
        [(f"q{n}", asking[n], "?") for n in range(queries)],
        {f"q{n}": [f"p{n}", f"p{n + 7}"] for n in range(queries)},
        frozenset(),
        {},
        "full",
    )
    q, p = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (q, p))
    return data, q @ p.T, np.array(asking), np.array(held)
