"""Number formats of stored vectors, and the recall that shorter formats lose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoglot.core.arguments import check_choice
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.unit_vectors import units

Numbers = Literal["float32", "float16", "int8"]
NUMBERS: tuple[str, ...] = get_args(Numbers)
_TYPES = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
_K, _ASKED = 10, 200
COMPARED = 50_000  # passages that recall is measured on


def vector_type(dimension: int, numbers: str = "float32") -> Any:
    """Return the Arrow type of the `vector` column.

    Raises:
        InputError: unknown number format.
    """
    check_choice("numbers", numbers, NUMBERS)
    return pa.list_(_TYPES[numbers], dimension)


def to_column(vectors: Vectors, kind: Any) -> Any:
    """Convert vectors (n, d) to an Arrow array of this type.

    For integers each vector is scaled so that its largest absolute value becomes 127. Cosines do not depend on scale,
    and this way the stored numbers depend on the passage's text alone.
    """
    rows: Any = np.ascontiguousarray(vectors, np.float32)
    if kind.value_type == pa.int8():
        largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
        rows = np.rint(rows * (127 / np.where(largest > 0, largest, 1))).astype(np.int8)
    elif kind.value_type == pa.float16():
        rows = rows.astype(np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), kind.value_type), type=kind)


def to_matrix(table: pa.Table | pa.RecordBatch) -> Vectors:
    """Return the `vector` column as float32 (n, d); shorter number formats are normalized to unit length again."""
    column = table["vector"]
    matrix: Vectors = pc.list_flatten(column).to_numpy().reshape(len(table), column.type.list_size)
    return matrix if column.type.value_type == pa.float32() else units(matrix.astype(np.float32))


def recall(batches: Iterable[pa.RecordBatch], rows: int, dimension: int, numbers: str) -> dict[str, Any]:
    """Measure recall@10 of exact search in a shorter number format, against the same search in float32.

    The queries are up to 200 passages (each left out of its own results) among up to 50,000, spaced evenly over all
    of them.

    Args:
        batches: rows with a float32 `vector` column.
        rows: number of rows in all batches.
        dimension: of the vectors.
        numbers: the number format.

    Returns:
        `recall`, `queries` and `passages`.
    """
    drawn = np.unique(np.linspace(0, rows - 1, min(rows, COMPARED)).astype(np.int64))
    right = np.concatenate([np.empty((0, dimension), np.float32), *_at(batches, drawn)])
    stored = to_matrix(pa.table({"vector": to_column(right, vector_type(dimension, numbers))}))
    asked = np.unique(np.linspace(0, len(right) - 1, min(len(right), _ASKED)).astype(np.int64))
    # A float16 column is searched with a float16 query, an int8 column with a float32 one.
    queries = stored[asked] if numbers == "float16" else right[asked]
    depth = min(_K, len(right) - 1)
    shares = [
        len(_nearest(right, right[row], row, depth) & _nearest(stored, query, row, depth)) / max(1, depth)
        for row, query in zip(asked.tolist(), queries, strict=True)
    ]
    figure = float(np.mean(shares)) if depth else 1.0
    return {"recall": round(figure, 4), "queries": len(asked), "passages": len(right)}


def in_words(numbers: str, found: Mapping[str, Any] | None) -> str:
    """Describe the index's number format and its recall in words; empty for float32."""
    if numbers == "float32" or found is None:
        return ""
    return (
        f"vectors in {numbers}: recall@10 {found['recall']:.3f} against float32 "
        f"({found['queries']} queries among {found['passages']} passages)"
    )


def _at(batches: Iterable[pa.RecordBatch], drawn: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[Vectors]:
    start = 0
    for batch in batches:
        if len(batch):
            own = drawn[np.searchsorted(drawn, start) : np.searchsorted(drawn, start + len(batch))] - start
            yield to_matrix(batch)[own]
            start += len(batch)


def _nearest(vectors: Vectors, query: Vectors, itself: int, depth: int) -> set[int]:
    scores = vectors @ query
    scores[itself] = -np.inf
    return set(np.argpartition(-scores, max(0, depth - 1))[:depth].tolist())
