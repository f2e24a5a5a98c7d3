"""The numbers that an index keeps its vectors in, and what shorter ones lose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Vectors
from isoglot.encoders.unit_vectors import units

Numbers = Literal["float32", "float16", "int8"]
NUMBERS: tuple[str, ...] = get_args(Numbers)
_TYPES = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8()}
_K, _ASKED = 10, 200
COMPARED = 50_000  # passages that a recall is measured among


def vector_type(dimension: int, numbers: str = "float32") -> Any:
    """Arrow type of the `vector` column.

    Raises:
        InputError: unknown numbers.
    """
    if numbers not in _TYPES:
        raise InputError(f"numbers {numbers!r}: expected one of {', '.join(NUMBERS)}")
    return pa.list_(_TYPES[numbers], dimension)


def to_column(vectors: Vectors, kind: Any) -> Any:
    """Vectors (n, d) as an array of such a type.

    Integers are those of a scale of the vector's own, whose largest number becomes 127: cosines are blind to scales,
    and so a passage's numbers depend on nothing but its text.
    """
    rows: Any = np.ascontiguousarray(vectors, np.float32)
    if kind.value_type == pa.int8():
        largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
        rows = np.rint(rows * (127 / np.where(largest > 0, largest, 1))).astype(np.int8)
    elif kind.value_type == pa.float16():
        rows = rows.astype(np.float16)
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel(), kind.value_type), type=kind)


def to_matrix(table: pa.Table | pa.RecordBatch) -> Vectors:
    """The `vector` column as float32 (n, d); what was shortened is made unit vectors again."""
    column = table["vector"]
    matrix: Vectors = pc.list_flatten(column).to_numpy().reshape(len(table), column.type.list_size)
    return matrix if column.type.value_type == pa.float32() else units(matrix.astype(np.float32))


def recall(batches: Iterable[pa.RecordBatch], rows: int, dimension: int, numbers: str) -> dict[str, Any]:
    """Recall@10 of exact search in shorter numbers, the same search in float32 being right.

    Up to 200 passages are asked for (the passage itself left out of its results) among up to 50,000, drawn evenly
    from all of them.

    Args:
        batches: rows with a float32 `vector` column.
        rows: in all batches.
        dimension: of the vectors.
        numbers: that they are kept in.

    Returns:
        `recall`, `queries` and `passages`.
    """
    drawn = np.unique(np.linspace(0, rows - 1, min(rows, COMPARED)).astype(np.int64))
    right = np.concatenate([np.empty((0, dimension), np.float32), *_at(batches, drawn)])
    stored = to_matrix(pa.table({"vector": to_column(right, vector_type(dimension, numbers))}))
    asked = np.unique(np.linspace(0, len(right) - 1, min(len(right), _ASKED)).astype(np.int64))
    # A float16 column is searched with a query of float16; one of integers is not.
    queries = stored[asked] if numbers == "float16" else right[asked]
    depth = min(_K, len(right) - 1)
    shares = [
        len(_nearest(right, right[row], row, depth) & _nearest(stored, query, row, depth)) / max(1, depth)
        for row, query in zip(asked.tolist(), queries, strict=True)
    ]
    figure = float(np.mean(shares)) if depth else 1.0
    return {"recall": round(figure, 4), "queries": len(asked), "passages": len(right)}


def in_words(numbers: str, found: Mapping[str, Any] | None) -> str:
    """What an index says of its vectors; empty for float32."""
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
