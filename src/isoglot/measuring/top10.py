"""The best candidates of every query in the pool of all languages, saved with an evaluation for reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write
from isoglot.data.benchmarks.benchmark import Benchmark

FILE = "top10.parquet"


def save_hits(folder: Path, benchmark: Benchmark, top: NDArray[np.int32]) -> None:
    """Write `top10.parquet`: query_id, rank (1-based), candidate_id, lang and relevant, one row per hit.

    Args:
        folder: of the evaluation.
        benchmark: the benchmark that was ranked.
        top: (queries, k) positions, as from `ranks.top_k`.
    """
    queries, k = top.shape
    query = np.repeat(np.arange(queries), k)
    flat = top.ravel()
    golds = {(q, int(gold)) for q in range(queries) for gold in benchmark.relevant(q)}
    rows = pa.table(
        {
            "query_id": pa.array(np.array(benchmark.queries.ids, dtype=object)[query], pa.string()),
            "rank": pa.array(np.tile(np.arange(1, k + 1), queries), pa.int16()),
            "candidate_id": pa.array(np.array(benchmark.candidates.ids, dtype=object)[flat], pa.string()),
            "lang": pa.array([benchmark.languages[code] for code in benchmark.candidates.lang[flat]], pa.string()),
            "relevant": pa.array([pair in golds for pair in zip(query.tolist(), flat.tolist(), strict=True)]),
        }
    )
    with atomic_write(folder / FILE) as temporary:
        pq.write_table(rows, temporary)


def load_hits(folder: Path, benchmark: Benchmark) -> NDArray[np.int32] | None:
    """Read hits as positions (queries, k); None if the folder has none.

    Raises:
        InputError: an unreadable file, or hits of another benchmark.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        table = pq.read_table(path, columns=["query_id", "candidate_id"])
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read ({error}); evaluate again") from error
    ids = table["query_id"].to_pylist()
    k = len(ids) // max(1, len(benchmark.queries))
    place = {key: index for index, key in enumerate(benchmark.candidates.ids)}
    found = [place.get(str(key), -1) for key in table["candidate_id"].to_pylist()]
    if ids != [key for key in benchmark.queries.ids for _ in range(k)] or -1 in found:
        raise InputError(f"{path}: hits of another benchmark than {benchmark.name}; evaluate again")
    return np.array(found, np.int32).reshape(-1, k)


def language_shares(benchmark: Benchmark, top: NDArray[np.int32]) -> NDArray[np.float64]:
    """Mean share (L, L) of each candidate language (columns) in the top k, by query language (rows).

    A row is NaN for a language without queries; the others sum to 1.
    """
    size = len(benchmark.languages)
    lang = benchmark.queries.lang.astype(np.int64)
    cells = lang[:, None] * size + benchmark.candidates.lang[top]
    counts = np.bincount(cells.ravel(), minlength=size * size).reshape(size, size).astype(np.float64)
    total = counts.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return shares
