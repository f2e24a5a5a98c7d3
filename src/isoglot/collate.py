"""Rows into batches: tokenised once for all epochs and regimes, or text by text for other people's scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.data_collator import SentenceTransformerDataCollator
from torch import Tensor

from isoglot.errors import InputError
from isoglot.progress import Progress


@dataclass(frozen=True)
class Tokens:
    """Token ids of many texts, end to end: text i is `ids[offsets[i]:offsets[i + 1]]`."""

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def batch(self, texts: NDArray[np.int64], pad: int) -> dict[str, Tensor]:
        """Right-padded `input_ids` and `attention_mask` (n, longest), int64."""
        starts = self.offsets[texts]
        lengths = self.offsets[texts + 1] - starts
        columns = np.arange(int(lengths.max()))
        mask = columns < lengths[:, None]
        at = np.minimum(starts[:, None] + columns, len(self.ids) - 1)
        ids = np.where(mask, self.ids[at], pad)
        return {
            "input_ids": torch.from_numpy(ids.astype(np.int64)),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
        }


def tokenize(
    model: SentenceTransformer, texts: list[str], *, prompt: str | None, length: int, what: str = "texts"
) -> Tokens:
    """Tokenise texts through the model's own preprocessing.

    Args:
        model: a Sentence Transformer over tokens.
        texts: any number of texts.
        prompt: put before each text.
        length: cut after this many tokens, special ones included.
        what: name of the progress bar.

    Raises:
        InputError: the model does not take token ids.
    """
    ids: list[NDArray[np.int32]] = []
    lengths: list[NDArray[np.int64]] = []
    with Progress(f"tokenising {what}", len(texts)) as progress:
        for start in range(0, len(texts), 1024):
            part = texts[start : start + 1024]
            features = model.preprocess(part, prompt=prompt or None, max_length=length)
            if not {"input_ids", "attention_mask"} <= features.keys():
                raise InputError("this model takes no token ids; isoglot trains and encodes with transformer encoders")
            mask = features["attention_mask"].numpy().astype(bool)
            ids.append(features["input_ids"].numpy().astype(np.int32)[mask])
            lengths.append(mask.sum(axis=1))
            progress.advance(len(part))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]) if lengths else np.zeros(1)
    return Tokens(np.concatenate(ids) if ids else np.empty(0, np.int32), offsets.astype(np.int64))


class TokenCollator:
    """Folds 2B row numbers (queries, then passages) into one batch of ready token ids.

    Args:
        queries: tokens of every row's query.
        passages: tokens of every row's passage.
        identity: (rows,) passage component of each row, the label of a pair.
        pad: the tokenizer's padding id.
    """

    valid_label_columns = ("label",)

    def __init__(self, queries: Tokens, passages: Tokens, identity: NDArray[np.integer[Any]], pad: int) -> None:
        self.queries, self.passages, self.identity, self.pad = queries, passages, identity, pad

    def __call__(self, features: list[dict[str, int]]) -> dict[str, Tensor]:
        """Batch with `query_*` and `passage_*` inputs and an int64 `label` (B,)."""
        rows = np.array([feature["row"] for feature in features], dtype=np.int64)
        half = len(rows) // 2
        batch = {f"query_{key}": value for key, value in self.queries.batch(rows[:half], self.pad).items()}
        batch |= {f"passage_{key}": value for key, value in self.passages.batch(rows[half:], self.pad).items()}
        return batch | {"label": torch.from_numpy(self.identity[rows[:half]].astype(np.int64))}


class FoldingCollator(SentenceTransformerDataCollator):  # type: ignore[misc]
    """The same for a data set with text columns: the first half gives queries, the second half passages.

    Takes rows with `query`, `passage` and an integer `label` (the row's component), in the order that
    `HybridBatchSampler` yields, and hands (query, passage, label) triples to Sentence Transformers' own collator.
    """

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Batch for any Sentence Transformers loss over (query, passage) columns."""
        half = len(features) // 2
        pairs = [
            {"query": query["query"], "passage": passage["passage"], "label": query["label"]}
            for query, passage in zip(features[:half], features[half:], strict=True)
        ]
        batch: dict[str, Any] = super().__call__(pairs)
        return batch
