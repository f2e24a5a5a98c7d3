"""Teacher scores: how well each passage and negative answers its query.

The teacher is a cross-encoder, another encoder, or the late interaction of an encoder, which may be the student itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isoglot.core.progress import Progress
from isoglot.data.prepared import Prepared
from isoglot.encoders.devices import Precision
from isoglot.encoders.embedder import Model, readable
from isoglot.encoders.encoding import encode
from isoglot.encoders.late_interaction import late_scores, mixed
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.token_vectors import with_tokens

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Scores = list[tuple[float, ...]]
_ROWS = 512


def score_with_cross_encoder(rows: Prepared, model: CrossEncoder, *, batch_size: int = 32) -> Scores:
    """Return the logits of each query with its passage and its negatives, one tuple per row, the passage's first.

    Args:
        rows: prepared rows; a row without negatives gets a single score.
        model: a cross-encoder with one output, whose raw logit is used, without a sigmoid.
        batch_size: pairs at a time.
    """
    import torch

    queries, answers = rows.column("query"), _answers(rows)
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
    """Return the cosines of each query with its passage and its negatives, one tuple per row, the passage's first.

    Args:
        rows: prepared rows.
        model: anything that `isoglot.encoders.open_embedder` takes.
        length: truncate texts to this many tokens.
        precision: precision of the encoder.
    """
    encoder = open_embedder(model, ModelOptions(length=length, precision=precision))
    answers = _answers(rows)
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


def score_with_late_interaction(rows: Prepared, model: Model | str | Path) -> Scores:
    """Return the cosines combined with the encoder's late interaction (`isoglot.encoders.late_interaction`).

    Late interaction of a model's token vectors ranks better than its text vectors, so it can be its own teacher.

    Args:
        rows: prepared rows.
        model: anything that `isoglot.encoders.open_embedder` takes.

    Raises:
        InputError: the encoder returns vectors of whole texts only.
    """
    encoder = with_tokens(open_embedder(model))
    queries, answers = rows.column("query"), _answers(rows)
    scores: Scores = []
    with Progress("comparing tokens", len(rows)) as progress:
        for start in range(0, len(rows), _ROWS):
            part = range(start, min(start + _ROWS, len(rows)))
            texts = list({readable(text): None for row in part for text in answers[row]})
            place = {text: number for number, text in enumerate(texts)}
            vectors, asked = encoder.encoded_with_tokens([queries[row] for row in part], "query", what="queries")
            passages, held = encoder.encoded_with_tokens(texts, "passage", what="passages")
            for number, row in enumerate(part):
                own = np.array([place[readable(text)] for text in answers[row]])
                late = late_scores(asked.of(np.array([number])), held.of(own))[0]
                scores.append(tuple(mixed(passages[own] @ vectors[number], late).tolist()))
            progress.advance(len(part))
    return scores


def _answers(rows: Prepared) -> list[tuple[str, ...]]:
    """Return each row's passage, followed by its negatives."""
    return [(text, *(found or ())) for text, found in zip(rows.passages(), rows.column("negatives"), strict=True)]


def _cut(flat: np.ndarray[tuple[int, ...], np.dtype[np.float64]], counts: list[int]) -> Scores:
    ends = np.cumsum(counts)
    return [tuple(flat[end - count : end].tolist()) for end, count in zip(ends, counts, strict=True)]
