"""Prepared rows back as rows, with other negatives or scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from isoglot.data.prepared import Prepared
from isoglot.data.rows import FIELDS, Kind, Row


def rows_of(rows: Prepared) -> Iterator[Row]:
    """Every row, in order; streams."""
    cross_only = set(rows.table.cross_only)
    for batch in rows.batches(FIELDS):
        for record in batch.to_pylist():
            negatives = record.pop("negatives") or ()
            # Kept in 32 bits: 0.9 is written as 0.9 again, not as the number that comes nearest to it there.
            scores = (float(str(np.float32(score))) for score in record.pop("scores") or ())
            kind: Kind = "bitext" if record["dataset"] in cross_only else "qa"
            yield Row(**record, negatives=tuple(negatives), scores=tuple(scores), kind=kind)


def with_negatives(rows: Prepared, negatives: Sequence[tuple[str, ...]], *, replace_old: bool = False) -> Iterator[Row]:
    """Rows with more negatives; scores that no longer fit are left out.

    Args:
        rows: prepared rows.
        negatives: one tuple a row.
        replace_old: drop the negatives that a row had, instead of putting the new ones after them.
    """
    for row, found in zip(rows_of(rows), negatives, strict=True):
        merged = tuple(dict.fromkeys((*(() if replace_old else row.negatives), *found)))
        yield row if merged == row.negatives else replace(row, negatives=merged, scores=())


def with_scores(rows: Prepared, scores: Sequence[tuple[float, ...]]) -> Iterator[Row]:
    """Rows with a teacher's scores: one tuple a row, the passage's first, then the negatives'."""
    for row, found in zip(rows_of(rows), scores, strict=True):
        yield replace(row, scores=found)
