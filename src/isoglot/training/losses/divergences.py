"""Cosines and divergences between score distributions: the arithmetic of the losses, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def scores(left: Tensor, right: Tensor, temperature: float) -> Tensor:
    """Cosines of unit vectors divided by temperature, (n, d) and (m, d) -> (n, m), in float32 even under autocast."""
    with torch.autocast(left.device.type, enabled=False):
        return left.float() @ right.float().T / temperature


def root_jensen_shannon(first: Tensor, second: Tensor) -> Tensor:
    """Mean over rows of sqrt(JSD(softmax(first), softmax(second))), natural logarithm, (n, m) logits each.

    JSD(P, Q) = KL(P | M) / 2 + KL(Q | M) / 2 with M = (P + Q) / 2; its square root is a metric. Applied to the score
    distributions of parallel passages (arXiv 2604.05684).
    """
    log_p, log_q = _log_softmax(first), _log_softmax(second)
    log_m = torch.logaddexp(log_p, log_q) - torch.log(torch.tensor(2.0, device=first.device))
    divergence = 0.5 * (_kl(log_p, log_m) + _kl(log_q, log_m))
    # The square root has an infinite slope at 0, where two distributions are equal.
    return divergence.clamp(min=1e-8).sqrt().mean()


def symmetric_kl(first: Tensor, second: Tensor) -> Tensor:
    """Mean over rows of (KL(P | Q) + KL(Q | P)) / 2 for the softmaxes P and Q of two (n, m) logits."""
    log_p, log_q = _log_softmax(first), _log_softmax(second)
    return 0.5 * (_kl(log_p, log_q) + _kl(log_q, log_p)).mean()


def distillation(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """KL(softmax(teacher) | softmax(student)), summed over the rows that have at least two teacher scores.

    Args:
        student: (n, k) logits of each query's passage and its hard negatives.
        teacher: (n, k) logits of the teacher; NaN where there is no score (or no such negative).

    Returns:
        The sum over those rows, and their number, both scalars.
    """
    known = ~torch.isnan(teacher)
    rows = known.sum(dim=1) >= 2
    known, student, teacher = known[rows], student[rows], teacher[rows]
    log_p = _log_softmax(teacher.masked_fill(~known, -torch.inf))
    log_q = _log_softmax(student.masked_fill(~known, -torch.inf))
    return _kl(log_p, log_q).sum(), rows.sum()


def _log_softmax(logits: Tensor) -> Tensor:
    """Log-softmax of each row, with -inf replaced by a finite logit of probability 0, which has a gradient."""
    return functional.log_softmax(logits.masked_fill(logits == -torch.inf, -1e4), dim=1)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(P | Q) of each row."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=1)
