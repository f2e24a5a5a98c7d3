"""InfoNCE that never counts a translation as a negative, and the terms that may be added to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor
from torch.nn import functional

from isoglot.training.losses.chunked import embed_columns, embed_in_chunks
from isoglot.training.losses.terms import distillation, masked_scores, root_jensen_shannon, symmetric_kl

__all__ = ["GroupMaskedInfoNCE", "LossWeights", "embed_in_chunks", "masked_info_nce"]

# The identity of a place in the negatives' columns that holds no text.
_ABSENT = -2


class LossWeights(NamedTuple):
    """How much each term counts; a term of weight 0 is not computed.

    Attributes:
        info_nce: query against passages.
        symmetric: passage against queries.
        jsd: sqrt of the Jensen-Shannon divergence between the scores that a passage and its parallel passage give
            to the batch's queries.
        kl: divergence between the scores that a query and its parallel query give to the batch's passages.
        distill: divergence from a teacher's scores of the row's passage and negatives.
    """

    info_nce: float = 1.0
    symmetric: float = 0.0
    jsd: float = 0.0
    kl: float = 0.0
    distill: float = 0.0

    @property
    def parallel(self) -> bool:
        """Whether a term wants the other language version of queries and passages."""
        return self.jsd > 0 or self.kl > 0


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
    logits = masked_scores(queries, passages, query_ids, passage_ids, positives, temperature)
    return functional.cross_entropy(logits, positives)


class GroupMaskedInfoNCE(MultipleNegativesRankingLoss):  # type: ignore[misc]
    """Sentence Transformers' in-batch negatives loss with group masks.

    Labels carry the identity of each pair's passage (its component number): shape (B,), or (B, 1 + negatives) when
    further text columns are hard negatives, with -1 for a negative that is nobody's passage and -2 for a place that
    holds no negative at all.

    Columns are query, passage, hard negatives; with `weights.jsd` or `weights.kl` and `parallel=True` in the call, the
    last two are the parallel passage (in the query's language) and the parallel query (in the passage's language).

    Args:
        model: the model to train.
        temperature: divides the cosine.
        chunk: texts embedded at a time, each chunk padded to its own longest; None embeds a column at once.
        gather_across_devices: use the passages of all processes as negatives; masks apply to them too.
        recompute: GradCache: keep one chunk's activations at a time and embed every chunk twice.
        weights: of the terms.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.03,
        *,
        chunk: int | None = None,
        gather_across_devices: bool = False,
        recompute: bool = False,
        weights: LossWeights | None = None,
    ) -> None:
        super().__init__(model, scale=1.0 / temperature, gather_across_devices=gather_across_devices)
        self.chunk = chunk
        self.recompute = recompute
        self.weights = weights or LossWeights()
        self.per_query: Tensor | None = None
        self.terms: dict[str, Tensor] = {}

    def forward(
        self,
        sentence_features: Iterable[dict[str, Any]],
        labels: Tensor,
        teacher: Tensor | None = None,
        *,
        parallel: bool = False,
    ) -> Tensor:
        """Embed the columns and compare them.

        Args:
            sentence_features: features of each column.
            labels: identities, see the class.
            teacher: (B, 1 + negatives) teacher's scores, NaN where there is none.
            parallel: the last two columns are parallel versions.
        """
        embeddings = embed_columns(self.model, list(sentence_features), self.chunk, recompute=self.recompute)
        return self.compute_loss_from_embeddings(embeddings, labels, teacher, parallel=parallel)

    def compute_loss_from_embeddings(
        self, embeddings: list[Tensor], labels: Tensor, teacher: Tensor | None = None, *, parallel: bool = False
    ) -> Tensor:
        """Loss of (B, d) embeddings per column; see the class for `labels` and columns.

        Afterwards `per_query` holds the InfoNCE of each query and `terms` each term's mean, both detached.

        Raises:
            ValueError: fewer than two columns, or labels missing or of the wrong shape.
        """
        versions = embeddings[-2:] if parallel else []
        queries, *columns = embeddings[: len(embeddings) - len(versions)]
        if not columns:
            raise ValueError("expected embeddings of queries and passages, got one column")
        if labels is None or labels.shape[0] != len(queries) or (labels.ndim == 2 and labels.shape[1] != len(columns)):
            raise ValueError(f"expected labels ({len(queries)},) or ({len(queries)}, {len(columns)})")
        ids = labels if labels.ndim == 2 else labels[:, None].expand(-1, len(columns)).clone()
        if labels.ndim == 1:
            ids[:, 1:] = -1
        own = ids[:, 0]
        local = torch.stack(columns, dim=1)  # (B, 1 + negatives, d)
        mine = torch.arange(len(queries), device=queries.device)
        all_queries, all_own, present = queries, own, ids
        if self.gather_across_devices and torch.distributed.is_initialized():
            mine = mine + torch.distributed.get_rank() * len(queries)
            columns = [all_gather_with_grad(column) for column in columns]
            all_queries = all_gather_with_grad(queries) if self.weights.symmetric or self.weights.jsd else queries
            present, all_own = all_gather(ids), all_gather(own)
        passages = torch.cat(columns)
        passage_ids = torch.cat(list(present.unbind(dim=1)))
        terms: dict[str, Tensor] = {}
        logits = masked_scores(queries, passages, own, passage_ids, mine, self.temperature)
        logits = logits.masked_fill((passage_ids == _ABSENT)[None, :], -torch.inf)
        each = functional.cross_entropy(logits, mine, reduction="none")
        self.per_query = each.detach()
        if self.weights.info_nce:
            terms["info_nce"] = each.mean()
        if self.weights.symmetric:
            backward = masked_scores(local[:, 0], all_queries, own, all_own, mine, self.temperature)
            terms["symmetric"] = functional.cross_entropy(backward, mine)
        if versions and self.weights.jsd:
            first, second = (
                masked_scores(passage, all_queries, own, all_own, mine, self.temperature)
                for passage in (local[:, 0], versions[0])
            )
            terms["jsd"] = root_jensen_shannon(first, second)
        if versions and self.weights.kl:
            other = masked_scores(versions[1], passages, own, passage_ids, mine, self.temperature)
            terms["kl"] = symmetric_kl(logits, other.masked_fill((passage_ids == _ABSENT)[None, :], -torch.inf))
        if self.weights.distill and teacher is not None and teacher.shape[1] > 1:
            with torch.autocast(queries.device.type, enabled=False):
                student = torch.einsum(
                    "bd,bkd->bk", functional.normalize(queries.float()), functional.normalize(local.float(), dim=2)
                )
            divergence, count = distillation(student / self.temperature, teacher / self.temperature)
            terms["distill"] = divergence / self._share_of(count)
        self.terms = {name: value.detach() for name, value in terms.items()}
        total = [getattr(self.weights, name) * value for name, value in terms.items()]
        return torch.stack(total).sum() if total else each.sum() * 0.0

    def _share_of(self, count: Tensor) -> Tensor:
        """Mean number of rows a process has, at least a bit: the mean over processes is then one over all rows."""
        count = count.float()
        if self.gather_across_devices and torch.distributed.is_initialized():
            torch.distributed.all_reduce(count)
            count = count / torch.distributed.get_world_size()
        return count.clamp(min=1e-6)

    def get_config_dict(self) -> dict[str, Any]:
        """What the model card records."""
        return {"temperature": self.temperature, "gather_across_devices": self.gather_across_devices}
