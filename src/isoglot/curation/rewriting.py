"""Convert prepared rows back to plain rows, with other negatives or scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from isoglot.data.prepared import Prepared
from isoglot.data.rows import FIELDS, Kind, Row


def rows_of(rows: Prepared) -> Iterator[Row]:
    """Stream all rows, in order."""
    cross_only = set(rows.table.cross_only)
    for batch in rows.batches(FIELDS):
        for record in batch.to_pylist():
            negatives = record.pop("negatives") or ()
            # Scores are stored as float32: going through text turns 0.9 back into 0.9, not 0.8999999761581421.
            scores = (float(str(np.float32(score))) for score in record.pop("scores") or ())
            kind: Kind = "bitext" if record["dataset"] in cross_only else "qa"
            yield Row(**record, negatives=tuple(negatives), scores=tuple(scores), kind=kind)


def with_negatives(rows: Prepared, negatives: Sequence[tuple[str, ...]], *, replace_old: bool = False) -> Iterator[Row]:
    """Stream the rows with new negatives; if a row's negatives change, its scores are dropped.

    Args:
        rows: prepared rows.
        negatives: one tuple per row.
        replace_old: replace the existing negatives of a row instead of appending to them.
    """
    for row, found in zip(rows_of(rows), negatives, strict=True):
        merged = tuple(dict.fromkeys((*(() if replace_old else row.negatives), *found)))
        yield row if merged == row.negatives else replace(row, negatives=merged, scores=())


def with_scores(rows: Prepared, scores: Sequence[tuple[float, ...]]) -> Iterator[Row]:
    """Stream the rows with teacher scores: one tuple per row, the passage's first, then the negatives'."""
    for row, found in zip(rows_of(rows), scores, strict=True):
        yield replace(row, scores=found)
