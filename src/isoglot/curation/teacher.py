"""Teacher scores: how well each passage and negative answers its query, by a cross-encoder or a stronger encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isoglot.core.progress import Progress
from isoglot.data.prepared import Prepared
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Model
from isoglot.encoders.encoding import encode
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Scores = list[tuple[float, ...]]
_ROWS = 512


def score_with_cross_encoder(rows: Prepared, model: CrossEncoder, *, batch_size: int = 32) -> Scores:
    """Logits of (query, passage) and (query, each negative), a tuple a row: the passage's first.

    Args:
        rows: prepared rows; one without negatives gets one score.
        model: with one output; its logit is taken as it is, without a sigmoid.
        batch_size: pairs at a time.
    """
    import torch

    texts, queries = rows.passages(), rows.column("query")
    answers = [(text, *(found or ())) for text, found in zip(texts, rows.column("negatives"), strict=True)]
    scores: Scores = []
    with Progress("scoring", len(rows)) as progress:
        for start in range(0, len(rows), _ROWS):
            part = range(start, min(start + _ROWS, len(rows)))
            pairs = [(queries[row], text) for row in part for text in answers[row]]
            flat = model.predict(
                pairs, batch_size=batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
            )
            scores += _cut(np.asarray(flat, np.float64).reshape(-1), [len(answers[row]) for row in part])
            progress.advance(len(part))
    return scores


def score_with_encoder(
    rows: Prepared, model: Model | str | Path, *, length: int | None = None, precision: Precision = "auto"
) -> Scores:
    """Cosines of each query with its passage and its negatives, a tuple a row: the passage's first.

    Args:
        rows: prepared rows.
        model: what `isoglot.encoders.open_embedder` takes.
        length: tokens kept of a text.
        precision: of the encoder.
    """
    encoder = open_embedder(model, ModelOptions(length=length, precision=precision))
    answers = [(text, *(found or ())) for text, found in zip(rows.passages(), rows.column("negatives"), strict=True)]
    counts = [len(found) for found in answers]
    queries = encode(encoder, rows.column("query"), "query").vectors
    flat = [text for found in answers for text in found]
    passages = encode(encoder, flat, "passage").vectors
    owner = np.repeat(np.arange(len(rows)), counts)
    cosines = np.concatenate(
        [
            np.einsum("ij,ij->i", queries[owner[at : at + 65536]], passages[at : at + 65536])
            for at in range(0, len(flat), 65536)
        ]
    )
    return _cut(cosines.astype(np.float64), counts)


def _cut(flat: np.ndarray[tuple[int, ...], np.dtype[np.float64]], counts: list[int]) -> Scores:
    ends = np.cumsum(counts)
    return [tuple(flat[end - count : end].tolist()) for end, count in zip(ends, counts, strict=True)]
