"""InfoNCE that never counts a translation as a negative."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor
from torch.nn import functional


def masked_info_nce(
    queries: Tensor,
    passages: Tensor,
    query_ids: Tensor,
    passage_ids: Tensor,
    positives: Tensor,
    temperature: float,
) -> Tensor:
    """Mean cross-entropy of each query's own passage among all passages that are not another version of it.

    L = -1/n sum_i log( exp(s_ii / t) / sum_{j: id_j != id_i or j = i} exp(s_ij / t) ), s = cosine
    (van den Oord et al., arXiv 1807.03748, with the sum restricted).

    Args:
        queries: (n, d) embeddings.
        passages: (m, d) embeddings, positives and negatives.
        query_ids: (n,) identity (passage component) of each query.
        passage_ids: (m,) identity of each passage; negative numbers equal nothing.
        positives: (n,) position of each query's own passage.
        temperature: t.

    Returns:
        The loss, a scalar in float32.
    """
    with torch.autocast(queries.device.type, enabled=False):
        cosine = functional.normalize(queries.float()) @ functional.normalize(passages.float()).T
        same = query_ids[:, None] == passage_ids[None, :]
        same &= passage_ids[None, :] >= 0
        same[torch.arange(len(queries), device=same.device), positives] = False
        return functional.cross_entropy((cosine / temperature).masked_fill(same, -torch.inf), positives)


def embed_in_chunks(model: SentenceTransformer, features: dict[str, Any], chunk: int | None) -> Tensor:
    """Embed right-padded texts sorted by length, in chunks that are each as narrow as their longest text.

    The result equals one padded forward pass (up to dropout and rounding) without the cost of the padding.

    Args:
        model: any Sentence Transformer over tokens.
        features: `input_ids` and `attention_mask` (n, width), and what else the model takes.
        chunk: texts a chunk; None embeds all at once.

    Returns:
        (n, d) embeddings in the given order.
    """
    mask = features["attention_mask"]
    width = mask.shape[1]
    if chunk is None or len(mask) <= chunk or not bool(mask[:, 0].all()):
        # Left-padded texts cannot be cut on the right.
        return _embedding(model, features)
    lengths = mask.sum(dim=1)
    order = torch.argsort(lengths, descending=True)
    parts = []
    for start in range(0, len(order), chunk):
        chosen = order[start : start + chunk]
        longest = int(lengths[chosen[0]])
        part = {
            key: _cut(value, chosen, width, longest) if isinstance(value, Tensor) else value
            for key, value in features.items()
        }
        parts.append(_embedding(model, part))
    return torch.cat(parts)[torch.argsort(order)]


def _cut(value: Tensor, chosen: Tensor, width: int, longest: int) -> Tensor:
    if value.ndim >= 2 and value.shape[1] == width:
        return value[chosen, :longest]
    return value[chosen] if value.ndim and len(value) == len(chosen) else value


def _embedding(model: SentenceTransformer, features: dict[str, Any]) -> Tensor:
    embedding: Tensor = model(features)["sentence_embedding"]
    return embedding


class GroupMaskedInfoNCE(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """Sentence Transformers' in-batch negatives loss with group masks.

    Labels carry the identity of each pair's passage (its component number): shape (B,), or (B, 1 + negatives) when
    further text columns are hard negatives, with -1 for a negative that is nobody's passage.

    Args:
        model: the model to train.
        temperature: divides the cosine.
        chunk: texts embedded at a time, each chunk padded to its own longest; None embeds a column at once.
        gather_across_devices: use the passages of all processes as negatives; masks apply to them too.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.03,
        *,
        chunk: int | None = None,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__(model, scale=1.0 / temperature, gather_across_devices=gather_across_devices)
        self.chunk = chunk

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor) -> Tensor:
        """Embed the columns (query, passage, hard negatives) and compare them."""
        embeddings = [embed_in_chunks(self.model, features, self.chunk) for features in sentence_features]
        return self.compute_loss_from_embeddings(embeddings, labels)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor) -> Tensor:
        """Loss of (B, d) embeddings per column; see the class for `labels`.

        Raises:
            ValueError: fewer than two columns, or labels missing or of the wrong shape.
        """
        queries, *columns = embeddings
        if not columns:
            raise ValueError("expected embeddings of queries and passages, got one column")
        if labels is None or labels.shape[0] != len(queries) or (labels.ndim == 2 and labels.shape[1] != len(columns)):
            raise ValueError(f"expected labels ({len(queries)},) or ({len(queries)}, {len(columns)})")
        ids = labels if labels.ndim == 2 else labels[:, None].expand(-1, len(columns)).clone()
        if labels.ndim == 1:
            ids[:, 1:] = -1
        own = ids[:, 0]
        positives = torch.arange(len(queries), device=queries.device)
        if self.gather_across_devices and torch.distributed.is_initialized():
            positives = positives + torch.distributed.get_rank() * len(queries)
            columns = [all_gather_with_grad(column) for column in columns]
            ids = all_gather(ids)
        passages = torch.cat(columns)
        passage_ids = torch.cat(list(ids.unbind(dim=1)))
        return masked_info_nce(queries, passages, own, passage_ids, positives, self.temperature)

    def get_config_dict(self) -> dict[str, Any]:
        """What the model card records."""
        return {"temperature": self.temperature, "gather_across_devices": self.gather_across_devices}
