"""The losses of a batch that compare its own texts: InfoNCE, divergences between versions, distillation of scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from isoglot.training.losses.batch import PairBatch
from isoglot.training.losses.divergences import distillation, root_jensen_shannon, symmetric_kl


def info_nce(batch: PairBatch) -> Tensor:
    """Mean cross-entropy of each query's own passage among all passages that are not another version of it.

    L = -1/n sum_i log( exp(s_ii / t) / sum_{j: id_j != id_i or j = i} exp(s_ij / t) ), s = cosine
    (van den Oord et al., arXiv 1807.03748, with the sum restricted).
    """
    return batch.per_query.mean()


def symmetric(batch: PairBatch) -> Tensor:
    """The same with the sides exchanged: each passage's own query among all queries."""
    own = batch.passages[: len(batch.queries)]
    return functional.cross_entropy(batch.compare(own, batch.all_queries, batch.allowed_queries), batch.own)


def jsd(batch: PairBatch) -> Tensor | None:
    """Sqrt of the Jensen-Shannon divergence between what a passage and its parallel passage score over the queries."""
    if batch.parallel_passages is None:
        return None
    own = batch.passages[: len(batch.queries)]
    first, second = (
        batch.compare(passages, batch.all_queries, batch.allowed_queries) for passages in (own, batch.parallel_passages)
    )
    return root_jensen_shannon(first, second)


def kl(batch: PairBatch) -> Tensor | None:
    """Symmetric KL divergence between what a query and its parallel query score over the passages."""
    if batch.parallel_queries is None:
        return None
    return symmetric_kl(batch.logits, batch.compare(batch.parallel_queries, batch.passages, batch.allowed))


def distill(batch: PairBatch) -> Tensor | None:
    """KL divergence from the teacher's scores of each query's own passage and negatives; both sides over temperature.

    The mean over all rows that have at least two scores, also where processes hold different numbers of them.
    """
    if batch.teacher is None or batch.teacher.shape[1] < 2:
        return None
    own = batch.passages[: len(batch.queries), None]
    texts = torch.cat([own, batch.negatives], dim=1)  # (B, 1 + K, d)
    student = torch.einsum("bd,bkd->bk", batch.queries, texts)
    divergence, count = distillation(student / batch.temperature, batch.teacher / batch.temperature)
    count = count.float()
    if len(batch.all_queries) > len(batch.queries):
        torch.distributed.all_reduce(count)
        count = count / torch.distributed.get_world_size()
    return divergence / count.clamp(min=1e-6)
