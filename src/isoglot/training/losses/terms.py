"""Losses that compare the texts of a batch: InfoNCE, divergences between parallel versions, score distillation."""

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
    """InfoNCE in the other direction: each passage's own query among all queries."""
    own = batch.passages[: len(batch.queries)]
    return functional.cross_entropy(batch.compare(own, batch.all_queries, batch.allowed_queries), batch.own)


def jsd(batch: PairBatch) -> Tensor | None:
    """Sqrt of the JS divergence between the score distributions of a passage and its parallel one over the queries."""
    if batch.parallel_passages is None:
        return None
    own = batch.passages[: len(batch.queries)]
    first, second = (
        batch.compare(passages, batch.all_queries, batch.allowed_queries) for passages in (own, batch.parallel_passages)
    )
    return root_jensen_shannon(first, second)


def kl(batch: PairBatch) -> Tensor | None:
    """Symmetric KL divergence between the score distributions of a query and its parallel query over the passages."""
    if batch.parallel_queries is None:
        return None
    return symmetric_kl(batch.logits, batch.compare(batch.parallel_queries, batch.passages, batch.allowed))


def distill(batch: PairBatch) -> Tensor | None:
    """KL(teacher | student) of the scores of each query's passage and negatives; both are divided by temperature.

    The mean over all rows that have at least two scores, even if their number differs between processes.
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
