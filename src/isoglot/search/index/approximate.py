"""The approximate index: when it pays off, how many partitions to probe, and its recall against exact search."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isoglot.core.executors import Executor
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.unit_vectors import units
from isoglot.search.index import segments
from isoglot.search.index.stored_vectors import to_matrix

PAYS_FROM = 100_000  # rows; below, exact search takes only milliseconds
LOOKED_AT = 1_000_000  # passages to compare at most, of those that match a filter
WANTED = 0.95
_QUERIES, _K, _REFINE = 200, 10, 4
_ROUNDING = 1e-5  # of cosines in float32, computed in two ways


def build(folder: Path, table: Any, executor: Executor, kept: Path, key: str) -> None:
    """Build the IVF index, with 4-bit vectors in segments; with 8-bit ones, in one go, if the dimension rules that out.

    Lance is given the partition size, which it stores. Given the number of partitions, it would merge them to its own
    default size at the next update of the index, and a search in a million vectors would read half of them.

    Args:
        folder: of the index.
        table: its passages.
        executor: where segments are built.
        kept: folder for finished segments.
        key: identifies the table's content.
    """
    rows = table.count_rows()
    if table.schema.field("vector").type.list_size % segments.STEP:
        from lancedb.index import IvfSq

        config = IvfSq(distance_type="cosine", target_partition_size=rows // partitions(rows))
        table.create_index("vector", config=config, replace=True)
        return
    uri = str(folder / "lance" / f"{table.name}.lance")
    segments.build(uri, segments.train(uri, partitions(rows), rows, kept, key), executor, kept)
    table.checkout_latest()


def partitions(rows: int) -> int:
    """Return about the square root of the number of rows, at least 16."""
    return max(16, math.isqrt(rows))


def tune(table: Any, rows: int) -> dict[str, Any]:
    """Choose how many partitions to probe, and measure recall@10 against exact search.

    The queries are 200 stored vectors, each passage left out of its own results. Half of them choose the probes: the
    fewest of 8, 16, 32, ... with a recall of at least .96; the other half measures the recall.

    Args:
        table: with an index on `vector`.
        rows: number of rows in it.

    Returns:
        `probes`, `refine`, `recall`, `milliseconds` (median of one search) and `partitions`.
    """
    drawn = np.sort(np.random.default_rng(0).choice(rows, min(_QUERIES, rows), replace=False))
    vectors = to_matrix(table.take_offsets(drawn.tolist()).select(["vector"]).to_arrow())
    exact = _exact(table, vectors)
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


def probes_for(ann: Mapping[str, Any], passages: int, among: int) -> int:
    """Return the number of partitions to probe when a filter leaves some passages.

    Passages that are near a query and match a filter may lie in any partition, the more so if the filter concerns what
    the passages are about. So all partitions are probed, which costs little, since other passages are skipped before
    they are compared; if more than a million match, as many partitions as hold a million of them.

    Args:
        ann: as `tune` returns it.
        passages: in the index.
        among: number of passages that match the filter.
    """
    probes, partitions = int(ann["probes"]), int(ann["partitions"])
    if among >= passages:
        return probes
    # Lance may have made somewhat more partitions than requested.
    return min(2 * partitions, max(probes, math.ceil(2 * partitions * LOOKED_AT / max(1, among))))


def _recall(table: Any, vectors: Vectors, exact: Vectors, probes: int) -> tuple[float, float]:
    """Return mean recall@10, and the median milliseconds of a search.

    A passage is right if it is as near as the tenth, so that it does not matter which of several equal ones is found.
    """
    found, seconds = [], []
    for vector, nearest in zip(vectors, exact, strict=True):
        started = time.perf_counter()
        near = _search(table, vector, probes)
        seconds.append(time.perf_counter() - started)
        right = nearest[np.isfinite(nearest)]
        found.append((near >= right.min(initial=1.0) - _ROUNDING).sum() / max(1, len(right)))
    return float(np.mean(found)), 1000 * float(np.median(seconds))


def _exact(table: Any, vectors: Vectors) -> Vectors:
    """Return the cosines (n, 10) that `_search` should find, by exact search; -inf where there are fewer."""
    asked = units(vectors)
    best = np.full((len(vectors), _K + 1), -np.inf, np.float32)
    for batch in table.search().select(["vector"]).to_batches(8192):
        best = np.concatenate([best, asked @ units(to_matrix(batch)).T], axis=1)
        best = np.partition(best, -_K - 1, axis=1)[:, -_K - 1 :]
    return np.sort(best, axis=1)[:, -2::-1]


def _search(table: Any, vector: Vectors, probes: int) -> Vectors:
    """Return cosines (10,) of the nearest passages after the first, which is the vector's own."""
    query = table.search(vector, vector_column_name="vector").distance_type("cosine").limit(_K + 1)
    query = query.nprobes(probes).refine_factor(_REFINE)
    distances: Vectors = query.select(["_distance"]).to_arrow()["_distance"].to_numpy()
    return 1 - distances[1:]
