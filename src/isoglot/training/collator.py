"""Rows into batches: of ready token ids, or text by text for other people's scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isoglot.encoders.tokens import Tokens


@dataclass(frozen=True)
class Negatives:
    """Hard negatives of rows: those of row r are texts `offsets[r]:offsets[r + 1]`, hardest first.

    Attributes:
        tokens: of all negatives.
        offsets: (rows + 1,).
        identity: (negatives,) passage component of a negative that is some row's passage, otherwise -1.
        scores: (rows, 1 + columns) teacher's scores of the passage and its negatives, NaN where there is none.
        columns: negatives a pair brings along.
    """

    tokens: Tokens
    offsets: NDArray[np.int64]
    identity: NDArray[np.int64]
    scores: NDArray[np.float32]
    columns: int

    def texts(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Text numbers (n, columns) of these rows' negatives, -1 where a row has fewer."""
        numbers = self.offsets[rows][:, None] + np.arange(self.columns)
        return np.where(numbers < self.offsets[rows + 1][:, None], numbers, -1)


class TokenCollator:
    """Folds 2B row numbers (queries, then passages) into one batch of ready token ids.

    Args:
        queries: tokens of every row's query.
        passages: tokens of every row's passage.
        identity: (rows,) passage component of each row, the label of a pair.
        pad: the tokenizer's padding id.
        negatives: hard negatives; a pair brings those of its passage's row.
        parallel: add the other version of every text in a cross-lingual batch, for the losses that compare them.
    """

    valid_label_columns = ("label",)

    def __init__(
        self,
        queries: Tokens,
        passages: Tokens,
        identity: NDArray[np.integer[Any]],
        pad: int,
        *,
        negatives: Negatives | None = None,
        parallel: bool = False,
    ) -> None:
        self.queries, self.passages, self.identity, self.pad = queries, passages, identity, pad
        self.negatives, self.parallel = negatives, parallel

    def __call__(self, features: list[dict[str, int]]) -> dict[str, Tensor]:
        """Batch with `query_*` and `passage_*` inputs and an int64 `label` (B,).

        With negatives there are `negative0_*`, … too, the label is (B, 1 + negatives), with -1 for a negative that is
        no row's passage and -2 for none, and `teacher` (B, 1 + negatives) holds scores. A cross-lingual batch with
        `parallel` ends with `parallel_passage_*` (in the query's language) and `parallel_query_*`. `rows` is (2, B).
        """
        rows = np.array([feature["row"] for feature in features], dtype=np.int64)
        half = len(rows) // 2
        asked, answers = rows[:half], rows[half:]
        columns = [("query", self.queries, asked), ("passage", self.passages, answers)]
        label = self.identity[asked].astype(np.int64)
        more: dict[str, Tensor] = {}
        if self.negatives is not None:
            texts = self.negatives.texts(answers)
            columns += [(f"negative{n}", self.negatives.tokens, texts[:, n]) for n in range(texts.shape[1])]
            label = np.column_stack([label, np.where(texts < 0, -2, self.negatives.identity[texts])])
            more["teacher"] = torch.from_numpy(self.negatives.scores[answers])
        if self.parallel and bool((asked != answers).any()):
            columns += [("parallel_passage", self.passages, asked), ("parallel_query", self.queries, answers)]
        batch = {
            f"{name}_{key}": value
            for name, tokens, texts in columns
            for key, value in tokens.batch(texts, self.pad).items()
        }
        return {**batch, **more, "label": torch.from_numpy(label), "rows": torch.from_numpy(rows.reshape(2, half))}
