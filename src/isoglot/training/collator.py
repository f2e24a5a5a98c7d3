"""The collator: turns row numbers into batches of token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isoglot.encoders.tokens import Tokens
from isoglot.training.losses.batch import ABSENT, Pivots
from isoglot.training.pivots import PivotVectors


@dataclass(frozen=True, eq=False)
class Negatives:
    """Hard negatives of rows: those of row r are texts `offsets[r]:offsets[r + 1]`, hardest first.

    Attributes:
        tokens: tokens of all negatives.
        offsets: (rows + 1,) where each row's negatives start.
        identity: (negatives,) passage component of a negative that is also the passage of some row, otherwise -1.
        scores: (rows, 1 + columns) teacher scores of the passage and its negatives, NaN where missing.
        columns: negatives per pair.
    """

    tokens: Tokens
    offsets: NDArray[np.int64]
    identity: NDArray[np.int64]
    scores: NDArray[np.float32]
    columns: int

    def texts(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the text numbers (n, columns) of these rows' negatives, -1 where a row has fewer."""
        numbers = self.offsets[rows][:, None] + np.arange(self.columns)
        return np.where(numbers < self.offsets[rows + 1][:, None], numbers, -1)


class PairInputs(TypedDict):
    """One batch of B pairs, as token ids on the CPU.

    Attributes:
        columns: `input_ids`, `attention_mask`, … of queries, passages, and each column of hard negatives.
        parallel: the same for the passages in the queries' languages and the queries in the passages' languages; empty
            in a batch that is not cross-lingual, or if no loss compares them.
        label: int64 (B,) identity of each pair's passage; with hard negatives (B, 1 + K), -1 for a negative that is not
            the passage of any row and -2 for an empty slot.
        teacher: (B, 1 + K) teacher scores, NaN where missing; None without hard negatives.
        rows: (2, B) row numbers of queries and passages.
        pivots: frozen vectors of pivot versions; None if no loss needs them.
    """

    columns: list[dict[str, Tensor]]
    parallel: list[dict[str, Tensor]]
    label: Tensor
    teacher: Tensor | None
    rows: Tensor
    pivots: Pivots | None


class TokenCollator:
    """Folds 2B row numbers (queries, then passages) into one batch of B pairs as token ids.

    Args:
        queries: tokens of every row's query.
        passages: tokens of every row's passage.
        identity: (rows,) passage component of each row, used as the label of a pair.
        pad: the tokenizer's padding id.
        negatives: hard negatives; a pair gets those of its passage's row.
        parallel: add the parallel version of every text in a cross-lingual batch, for the losses that compare them.
        pivots: vectors of the rows' pivot versions, for the alignment losses.
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
        pivots: PivotVectors | None = None,
    ) -> None:
        self.queries, self.passages, self.identity, self.pad = queries, passages, identity, pad
        self.negatives, self.parallel, self.pivots = negatives, parallel, pivots

    def __call__(self, features: list[dict[str, int]]) -> PairInputs:
        """Return the batch of 2B row numbers, each given as `{"row": number}`."""
        rows = np.array([feature["row"] for feature in features], dtype=np.int64)
        half = len(rows) // 2
        asked, answers = rows[:half], rows[half:]
        columns = [self.queries.batch(asked, self.pad), self.passages.batch(answers, self.pad)]
        label = self.identity[asked].astype(np.int64)
        teacher = None
        if self.negatives is not None:
            texts = self.negatives.texts(answers)
            columns += [self.negatives.tokens.batch(column, self.pad) for column in texts.T]
            label = np.column_stack([label, np.where(texts < 0, ABSENT, self.negatives.identity[texts])])
            teacher = torch.from_numpy(self.negatives.scores[answers])
        parallel = []
        if self.parallel and bool((asked != answers).any()):
            parallel = [self.passages.batch(asked, self.pad), self.queries.batch(answers, self.pad)]
        return {
            "columns": columns,
            "parallel": parallel,
            "label": torch.from_numpy(label),
            "teacher": teacher,
            "rows": torch.from_numpy(rows.reshape(2, half)),
            "pivots": None if self.pivots is None else self.pivots.of(asked, answers),
        }
