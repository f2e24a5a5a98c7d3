"""Loss terms by name: functions of a batch whose weighted sum is the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from isoglot.core.arguments import check_function
from isoglot.core.registry import Registry
from isoglot.training.losses.alignment import align, align_regression, align_scores
from isoglot.training.losses.batch import PairBatch
from isoglot.training.losses.terms import distill, info_nce, jsd, kl, symmetric

LossFunction = Callable[[PairBatch], Tensor | None]


class LossTerm(NamedTuple):
    """A function from a batch to a scalar, or to None if the term does not apply to the batch.

    Attributes:
        function: takes a `PairBatch`.
        parallel: whether it needs the parallel versions of queries and passages in cross-lingual batches, which then
            cost twice as much.
        pivots: whether it needs a frozen teacher's vectors of the pivot versions, computed before the first step.
    """

    function: LossFunction
    parallel: bool = False
    pivots: bool = False


_BUILT_IN = (info_nce, symmetric, jsd, kl, distill, align, align_regression, align_scores)
LOSSES: Registry[Any] = Registry(
    "isoglot.losses", "loss", {term.__name__: f"{term.__module__}:{term.__name__}" for term in _BUILT_IN}
)
# Built-in losses only; others declare their needs in a `LossTerm`.
_WANT_PARALLEL = (jsd, kl)
_WANT_PIVOTS = (align, align_regression, align_scores)


def register_loss(name: str, function: LossFunction, *, parallel: bool = False, pivots: bool = False) -> LossFunction:
    """Register a loss under a name, for `--loss NAME=WEIGHT` and `TrainSettings(loss=("NAME=WEIGHT",))`.

    An installed package can provide a loss to the command line through the entry point group `isoglot.losses`: a
    function, or a `LossTerm`.

    Args:
        name: must not contain spaces, commas, `=` or `:`.
        function: takes a `PairBatch` and returns a scalar, or None if the term does not apply to the batch.
        parallel: see `LossTerm`.
        pivots: see `LossTerm`.

    Returns:
        The function.

    Raises:
        InputError: not a suitable function, or a name that cannot be used in a flag.

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
    """Return a function or `LossTerm` as a `LossTerm`.

    Raises:
        InputError: it cannot be called with a batch.
    """
    if isinstance(value, LossTerm):
        return value
    check_function(f"loss {name!r}", value, 1, "a function of a batch to a scalar")
    return LossTerm(value, value in _WANT_PARALLEL, value in _WANT_PIVOTS)


def weighted_terms(weights: Mapping[str, float]) -> dict[str, tuple[LossTerm, float]]:
    """Return the terms and their weights by name, leaving out those with weight 0.

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    return {name: (loss_term(LOSSES.get(name), name), weight) for name, weight in weights.items() if weight}
