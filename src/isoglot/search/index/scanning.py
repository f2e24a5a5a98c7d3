"""Exact search in a column of int8 vectors, which Lance stores and filters but cannot compare."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoglot.encoders.embedder import Vectors

_BATCH = 8192


def nearest(
    table: Any, vector: Vectors, k: int, columns: list[str], condition: str | None, rows: int
) -> tuple[pa.Table, Vectors]:
    """Return the k rows of highest cosine, best first; ties in the order of the table.

    Args:
        table: with `vector` of 8-bit integers.
        vector: (d,), of any length.
        k: how many.
        columns: to return.
        condition: SQL condition that rows must meet; None for all.
        rows: number of rows in the table.

    Returns:
        The rows, and their cosines.
    """
    query = np.asarray(vector, np.float32)
    query = query / max(float(np.linalg.norm(query)), 1e-12)
    scores, ids = np.empty(0, np.float32), np.empty(0, np.uint64)
    scan = table.search().select(["vector"]).with_row_id(True).limit(rows)
    for batch in (scan if condition is None else scan.where(condition)).to_batches(_BATCH):
        if not len(batch):
            continue
        codes = pc.list_flatten(batch["vector"]).to_numpy().reshape(len(batch), -1).astype(np.float32)
        lengths = np.sqrt(np.einsum("ij,ij->i", codes, codes))
        scores = np.concatenate([scores, codes @ query / np.maximum(lengths, 1e-12)])
        ids = np.concatenate([ids, batch["_rowid"].to_numpy()])
        if len(scores) > k + 4 * _BATCH:
            scores, ids = _best(scores, ids, k)
    scores, ids = _best(scores, ids, k)
    found = table.take_row_ids(ids.tolist()).select(columns).with_row_id().to_arrow()
    # They are returned in the order of the table.
    at = {row: place for place, row in enumerate(found["_rowid"].to_pylist())}
    return found.take(pa.array([at[row] for row in ids.tolist()], pa.int64())), scores


def _best(scores: Vectors, ids: Any, k: int) -> tuple[Vectors, Any]:
    order = np.argsort(-scores, kind="stable")[:k]
    return scores[order], ids[order]
