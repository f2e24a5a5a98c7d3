"""The approximate index: when it pays, how many probes it wants, and what it loses against exact search."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoglot.index.protocol import Vectors

PAYS_FROM = 100_000  # rows; below, exact search takes some milliseconds
WANTED = 0.95
_QUERIES, _K, _REFINE = 200, 10, 4


def build(table: Any) -> None:
    """Build (or build again) the IVF index with 8-bit vectors."""
    from lancedb.index import IvfSq

    table.create_index(
        "vector", config=IvfSq(distance_type="cosine", num_partitions=partitions(table.count_rows())), replace=True
    )


def partitions(rows: int) -> int:
    """About the square root of the number of rows, at least 16."""
    return max(16, math.isqrt(rows))


def tune(table: Any, rows: int) -> dict[str, Any]:
    """Choose how many partitions to probe, and measure recall@10 against exact search.

    Half of 200 stored vectors (the passage itself left out of its results) choose the probes: the fewest of 8, 16,
    32, ... that reach a recall of .96; the other half measure it.

    Args:
        table: with an index on `vector`.
        rows: in it.

    Returns:
        `probes`, `refine`, `recall`, `milliseconds` (median of one search) and `partitions`.
    """
    drawn = np.sort(np.random.default_rng(0).choice(rows, min(_QUERIES, rows), replace=False))
    vectors = to_matrix(table.take_offsets(drawn.tolist()).select(["vector"]).to_arrow())
    exact = [_search(table, vector, None) for vector in vectors]
    probes = 8
    while probes < partitions(rows) and _recall(table, vectors[::2], exact[::2], probes)[0] < WANTED + 0.01:
        probes *= 2
    probes = min(probes, partitions(rows))
    recall, milliseconds = _recall(table, vectors[1::2], exact[1::2], probes)
    return {
        "probes": probes,
        "refine": _REFINE,
        "recall": round(recall, 4),
        "milliseconds": round(milliseconds, 2),
        "partitions": partitions(rows),
    }


def to_matrix(table: pa.Table) -> Vectors:
    """The `vector` column as float32 (n, d)."""
    matrix: Vectors = pc.list_flatten(table["vector"]).to_numpy().reshape(len(table), -1)
    return matrix


def _recall(table: Any, vectors: Vectors, exact: list[set[str]], probes: int) -> tuple[float, float]:
    """Mean recall@10, and the median milliseconds of a search."""
    found, seconds = [], []
    for vector, right in zip(vectors, exact, strict=True):
        started = time.perf_counter()
        found.append(len(_search(table, vector, probes) & right) / max(1, len(right)))
        seconds.append(time.perf_counter() - started)
    return float(np.mean(found)), 1000 * float(np.median(seconds))


def _search(table: Any, vector: Vectors, probes: int | None) -> set[str]:
    """Ids of the ten nearest besides the first, which is the vector's own passage."""
    query = table.search(vector, vector_column_name="vector").distance_type("cosine").limit(_K + 1)
    query = query.bypass_vector_index() if probes is None else query.nprobes(probes).refine_factor(_REFINE)
    return set(query.select(["id", "_distance"]).to_arrow()["id"].to_pylist()[1:])
