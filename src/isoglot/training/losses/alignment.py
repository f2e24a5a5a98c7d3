"""Losses that draw every language to one: to a frozen teacher's vectors of the same text in the pivot language.

A teacher that is good in the pivot language and a text with its translation teach a student the other languages
(multilingual knowledge distillation, Reimers and Gurevych, arXiv 2004.09813). The teacher may be the student itself as
it was before training. Its vectors are made once, so a text is compared with thousands of pivot texts at the price of
one product.
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
    own: Tensor  # (n,)
    same: Tensor  # (M, d) teacher's vectors of the same role
    other: Tensor  # (M, d) and of the other one


def align(batch: PairBatch) -> Tensor | None:
    """Cross-entropy of each text's own pivot vector among those of all pivot texts, other versions masked.

    Summed over queries and passages that have a pivot version, over twice the batch's pairs.
    """

    def contrast(side: _Side, identities: Tensor) -> Tensor:
        apart = identities[side.own][:, None] != identities[None, :]
        apart[torch.arange(len(side.own), device=apart.device), side.own] = True
        return functional.cross_entropy(batch.compare(side.student, side.same, apart), side.own, reduction="sum")

    return _over_sides(batch, contrast)


def align_regression(batch: PairBatch) -> Tensor | None:
    """1 - cosine of each text and its pivot vector: half the squared distance of the two."""

    def distance(side: _Side, identities: Tensor) -> Tensor:
        return (1 - (side.student * side.same[side.own]).sum(dim=1)).sum()

    return _over_sides(batch, distance)


def align_scores(batch: PairBatch) -> Tensor | None:
    """KL divergence from what the pivot version scores over the pivot texts of the other role, both over temperature.

    A query is to rank the pivot's passages as the teacher's pivot query ranks them; a passage likewise its queries.
    """

    def divergence(side: _Side, identities: Tensor) -> Tensor:
        wanted = side.same[side.own] @ side.other.T / batch.temperature
        given = side.student @ side.other.T / batch.temperature
        log_p, log_q = functional.log_softmax(wanted, dim=1), functional.log_softmax(given, dim=1)
        return functional.kl_div(log_q, log_p, reduction="sum", log_target=True)

    return _over_sides(batch, divergence)


def _over_sides(batch: PairBatch, loss: Callable[[_Side, Tensor], Tensor]) -> Tensor | None:
    pivots = batch.pivots
    if pivots is None:
        return None
    total = batch.queries.new_zeros(())
    for student, own, same, other in (
        (batch.queries, pivots.own_queries, pivots.queries, pivots.passages),
        (batch.passages[: len(batch.queries)], pivots.own_passages, pivots.passages, pivots.queries),
    ):
        known = own >= 0
        if bool(known.any()):
            total = total + loss(_Side(student[known], own[known], same, other), pivots.identities)
    return total / (2 * len(batch.queries))
