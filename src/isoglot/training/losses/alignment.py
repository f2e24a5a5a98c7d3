"""Losses that align all languages with a frozen teacher's vectors of the same texts in the pivot language.

With parallel texts, a teacher that is good in the pivot language can teach a student the other languages (multilingual
knowledge distillation, Reimers and Gurevych, arXiv 2004.09813). The teacher may be the student itself before training.
Its vectors are computed once, so comparing a text with thousands of pivot texts costs a single matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from isoglot.training.losses.batch import PairBatch


class _Side(NamedTuple):
    """The queries or the passages of a batch that have a pivot version."""

    student: Tensor  # (n, d)
    own: Tensor  # (n,) index of each one's pivot version in `same`
    same: Tensor  # (M, d) teacher's vectors of the same role
    other: Tensor  # (M, d) teacher's vectors of the other role
    identities: Tensor  # (M,) equal for versions of one text


def align(batch: PairBatch) -> Tensor | None:
    """Cross-entropy of each text's own pivot vector among the vectors of all pivot texts, other versions masked.

    Summed over the queries and passages that have a pivot version, divided by twice the number of pairs in the batch.
    """

    def contrast(side: _Side) -> Tensor:
        apart = side.identities[side.own][:, None] != side.identities[None, :]
        apart[torch.arange(len(side.own), device=apart.device), side.own] = True
        return functional.cross_entropy(batch.compare(side.student, side.same, apart), side.own, reduction="sum")

    return _over_sides(batch, contrast)


def align_regression(batch: PairBatch) -> Tensor | None:
    """1 - cosine between each text and its pivot vector: half of their squared distance."""

    def distance(side: _Side) -> Tensor:
        return (1 - (side.student * side.same[side.own]).sum(dim=1)).sum()

    return _over_sides(batch, distance)


def align_scores(batch: PairBatch) -> Tensor | None:
    """KL(P | Q) of the score distributions of the teacher's pivot version, P, and of the text itself, Q.

    Both score the pivot texts of the other role, divided by temperature: a query learns to rank the pivot passages as
    the teacher's version of it does, a passage the pivot queries.
    """

    def divergence(side: _Side) -> Tensor:
        wanted = side.same[side.own] @ side.other.T / batch.temperature
        given = side.student @ side.other.T / batch.temperature
        log_p, log_q = functional.log_softmax(wanted, dim=1), functional.log_softmax(given, dim=1)
        return functional.kl_div(log_q, log_p, reduction="sum", log_target=True)

    return _over_sides(batch, divergence)


def _over_sides(batch: PairBatch, loss: Callable[[_Side], Tensor]) -> Tensor | None:
    pivots = batch.pivots
    if pivots is None:
        return None
    parts = []
    for student, own, same, other in (
        (batch.queries, pivots.own_queries, pivots.queries, pivots.passages),
        (batch.passages[: len(batch.queries)], pivots.own_passages, pivots.passages, pivots.queries),
    ):
        known = own >= 0
        if bool(known.any()):
            parts.append(loss(_Side(student[known], own[known], same, other, pivots.identities)))
    return torch.stack(parts).sum() / (2 * len(batch.queries)) if parts else None
