"""Loss terms by name: functions of a batch, whose weighted sum is the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from isoglot.core.arguments import check_function
from isoglot.core.registry import Registry
from isoglot.training.losses.alignment import align, align_regression, align_scores
from isoglot.training.losses.batch import PairBatch
from isoglot.training.losses.terms import distillation, root_jensen_shannon, symmetric_kl

LossFunction = Callable[[PairBatch], Tensor | None]


class LossTerm(NamedTuple):
    """A function of a batch to a scalar, or to None where the batch has nothing for it.

    Attributes:
        function: of a `PairBatch`.
        parallel: whether it wants the other language version of queries and passages in cross-lingual batches, which
            then cost twice as much.
        pivots: whether it wants a frozen teacher's vectors of the pivot versions, which are made before the first step.
    """

    function: LossFunction
    parallel: bool = False
    pivots: bool = False


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


_BUILT_IN = (info_nce, symmetric, jsd, kl, distill, align, align_regression, align_scores)
LOSSES: Registry[Any] = Registry(
    "isoglot.losses", "loss", {term.__name__: f"{term.__module__}:{term.__name__}" for term in _BUILT_IN}
)
# Of the built-in ones; others say so themselves, as a `LossTerm`.
_WANT_PARALLEL = (jsd, kl)
_WANT_PIVOTS = (align, align_regression, align_scores)


def register_loss(name: str, function: LossFunction, *, parallel: bool = False, pivots: bool = False) -> LossFunction:
    """Give a loss a name, for `--loss NAME=WEIGHT` and `TrainSettings(loss=("NAME=WEIGHT",))`.

    An installed package offers one to the command line through the entry point group `isoglot.losses`: a function, or
    a `LossTerm`.

    Args:
        name: without spaces, commas, `=` and `:`.
        function: of a `PairBatch` to a scalar, or to None where the batch has nothing for it.
        parallel: see `LossTerm`.
        pivots: see `LossTerm`.

    Returns:
        The function.

    Raises:
        InputError: no function, or a name that could not stand in a flag.

    Example:
        >>> def spread(batch):
        ...     return (batch.queries @ batch.queries.T).square().mean()
        >>> _ = register_loss("spread", spread)
        >>> "spread" in LOSSES
        True
    """
    LOSSES.register(name, LossTerm(loss_term(function, name).function, parallel, pivots))
    return function


def loss_term(value: Any, name: str = "loss") -> LossTerm:
    """A registered or given thing as a term.

    Raises:
        InputError: it cannot be called with a batch.
    """
    if isinstance(value, LossTerm):
        return value
    check_function(f"loss {name!r}", value, 1, "a function of a batch to a scalar")
    return LossTerm(value, value in _WANT_PARALLEL, value in _WANT_PIVOTS)


def weighted_terms(weights: Mapping[str, float]) -> dict[str, tuple[LossTerm, float]]:
    """Terms and weights by name; those of weight 0 are left out.

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    return {name: (loss_term(LOSSES.get(name), name), weight) for name, weight in weights.items() if weight}
