"""Embed a batch in chunks, to avoid padding to the batch's longest text and, optionally, keeping activations.

By default the activations of all chunks are kept for the backward pass. With recomputation only those of one chunk are
in memory at a time, and the gradient of the whole batch's loss reaches every chunk through its embeddings: GradCache
(Gao et al., arXiv 2101.06983), implemented as activation checkpointing of each chunk, which replays dropout and
autocast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from isoglot.training.speed.token_table import Reading, UsedEmbedding


def embed_columns(
    model: SentenceTransformer,
    columns: Sequence[dict[str, Any]],
    chunk: int | None = None,
    *,
    recompute: bool = False,
) -> list[Tensor]:
    """Embed several columns of texts, looking up the tokens of all columns in a `UsedEmbedding` table only once.

    Right-padded texts are sorted by length, and each chunk is truncated to its longest text: the result equals one
    padded forward pass (up to dropout and rounding) without the cost of the padding.

    Args:
        model: any Sentence Transformer over tokens.
        columns: features of each column: `input_ids` and `attention_mask` (n, width), and whatever else the model
            takes; best kept on the CPU, even if the model is on a GPU.
        chunk: texts embedded at a time; None embeds each column at once.
        recompute: do not keep activations (GradCache).

    Returns:
        (n, d) embeddings of each column.
    """
    table = _used_table(model)
    tokens = table.gather(torch.cat([features["input_ids"].reshape(-1) for features in columns])) if table else None
    return [_embed(model, features, chunk, table, tokens, recompute=recompute) for features in columns]


def _embed(
    model: SentenceTransformer,
    features: dict[str, Any],
    chunk: int | None,
    table: UsedEmbedding | None,
    tokens: Reading | None,
    *,
    recompute: bool,
) -> Tensor:
    device = model.device

    def embed(part: dict[str, Any]) -> Tensor:
        if table is None:
            return _embedding(model, part)
        with table.reading(tokens):
            return _embedding(model, part)

    def run(part: dict[str, Any]) -> Tensor:
        part = {
            key: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for key, value in part.items()
        }
        if not recompute or not torch.is_grad_enabled():
            return embed(part)
        embedding: Tensor = checkpoint(embed, part, use_reentrant=False, preserve_rng_state=True)
        return embedding

    mask = features["attention_mask"]
    if chunk is None or len(mask) <= chunk:
        return run(features)
    width = mask.shape[1]
    lengths = mask.sum(dim=1)
    # Left-padded texts cannot be truncated on the right.
    right_padded = bool(mask[:, 0].all())
    order = torch.argsort(lengths, descending=True) if right_padded else torch.arange(len(mask), device=mask.device)
    parts = []
    for start in range(0, len(order), chunk):
        chosen = order[start : start + chunk]
        longest = int(lengths[chosen[0]]) if right_padded else width
        parts.append(
            run(
                {
                    key: _cut(value, chosen, width, longest) if isinstance(value, Tensor) else value
                    for key, value in features.items()
                }
            )
        )
    return torch.cat(parts)[torch.argsort(order).to(device)]


def _cut(value: Tensor, chosen: Tensor, width: int, longest: int) -> Tensor:
    if value.ndim >= 2 and value.shape[1] == width:
        return value[chosen, :longest]
    return value[chosen] if value.ndim and len(value) == len(chosen) else value


def _embedding(model: SentenceTransformer, features: dict[str, Any]) -> Tensor:
    embedding: Tensor = model(dict(features))["sentence_embedding"]
    return embedding


def _used_table(model: Any) -> UsedEmbedding | None:
    for module in model.modules():
        if isinstance(module, UsedEmbedding):
            return module
    return None
