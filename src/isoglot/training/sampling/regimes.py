"""Training regimes: which languages a batch of (query, passage) pairs may contain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from isoglot.core.arguments import check_choice, check_function, check_kind, check_number, settle
from isoglot.core.errors import InputError
from isoglot.core.registry import Registry
from isoglot.training.sampling.alpha import Schedule, alpha_at, parse_points

if TYPE_CHECKING:
    from isoglot.data.row_table import RowTable
    from isoglot.training.sampling.plans import Plans

_STRATA = "isoglot.training.sampling.strata"
# A regime is a function from the row table, the sampling settings and the global batch size to its batch plans.
REGIMES: Registry[Any] = Registry(
    "isoglot.regimes",
    "regime",
    {
        "hybrid": f"{_STRATA}:hybrid",
        "x-x-mono": f"{_STRATA}:mono",
        "x-y": f"{_STRATA}:cross",
        "x-x": f"{_STRATA}:same_language",
        "en-en": f"{_STRATA}:pivot_only",
    },
)
XY = Literal["per-batch", "per-example"]
XYDraw = Literal["distinct", "independent"]


@dataclass(frozen=True)
class Sampling:
    """How batches are drawn (arXiv 2408.10536, section 3, and LAReQA, arXiv 2004.05484, for the older regimes).

    Attributes:
        regime: en-en: pivot only; x-x: same-language pairs, languages mixed in a batch; x-x-mono: the whole batch in
            one language; x-y: query and passage in different languages; hybrid: at random for each batch, x-x-mono
            with probability alpha, otherwise x-y; or a registered regime.
        alpha: Probability that a hybrid batch is monolingual (the initial value if there is a schedule).
        xy: One ordered language pair for a whole cross-lingual batch, or one for each example (as in the paper).
        xy_draw: Query and passage languages always differ, or are drawn independently (as in LAReQA).
        pivot: Pivot language: the only language of en-en, and the one to which the align losses align the others.
        dataset_exponent: Data sets are drawn with probability proportional to rows ** this.
        language_exponent: Languages (or ordered pairs) are drawn with probability proportional to size ** this; 0 is
            uniform.
        alpha_schedule: How alpha changes during the training.
        alpha_end: Final value of alpha for the schedules linear and cosine.
        alpha_points: Points of the schedule piecewise, such as 0:1,0.5:0.5,1:0.2 (share of the steps : alpha).
    """

    regime: str = "hybrid"
    alpha: float = 0.5
    xy: XY = "per-batch"
    xy_draw: XYDraw = "distinct"
    pivot: str = "en"
    dataset_exponent: float = 1.0
    language_exponent: float = 0.0
    alpha_schedule: Schedule = "constant"
    alpha_end: float = 0.5
    alpha_points: str = ""

    def __post_init__(self) -> None:
        """Check the values, including those from a recipe.

        Raises:
            InputError: an unknown regime, draw or schedule, an alpha outside 0..1, or an exponent that is not finite.
        """
        settle(self)
        for name in ("regime", "pivot", "alpha_points"):
            check_kind(name, getattr(self, name), str, "a text")
        if self.regime not in REGIMES:
            hybrid, dash, alpha = self.regime.partition("-")
            meant = f" (`regime` hybrid with `alpha` {alpha})" if dash and alpha and hybrid == "hybrid" else ""
            raise InputError(f"regime {self.regime!r}: expected one of {', '.join(REGIMES.names())}{meant}")
        for name, value, allowed in (
            ("xy", self.xy, get_args(XY)),
            ("xy_draw", self.xy_draw, get_args(XYDraw)),
            ("alpha_schedule", self.alpha_schedule, get_args(Schedule)),
        ):
            check_choice(name, value, allowed)
        for name, exponent in (
            ("dataset_exponent", self.dataset_exponent),
            ("language_exponent", self.language_exponent),
        ):
            check_number(name, exponent, "a finite number", math.isfinite)
        for name, probability in (("alpha", self.alpha), ("alpha_end", self.alpha_end)):
            check_number(name, probability, "a probability from 0 to 1", lambda number: 0 <= number <= 1)
        if self.alpha_schedule == "piecewise":
            parse_points(self.alpha_points)
        elif self.alpha_points:
            raise InputError(f"alpha_points {self.alpha_points}: only used by `alpha_schedule` piecewise")

    def alpha_at(self, progress: float) -> float:
        """Return the probability of a monolingual batch once this share (0 to 1) of the steps is done."""
        return alpha_at(progress, self.alpha_schedule, self.alpha, self.alpha_end, self.alpha_points)

    @property
    def name(self) -> str:
        """The name used in reports, such as `hybrid-0.5`."""
        if self.regime != "hybrid":
            return self.regime
        if self.alpha_schedule == "piecewise":
            return f"hybrid-piecewise-{self.alpha_points.replace(':', '_').replace(',', '-')}"
        if self.alpha_schedule != "constant":
            return f"hybrid-{self.alpha_schedule}-{self.alpha:g}-{self.alpha_end:g}"
        return f"hybrid-{self.alpha:g}"


def parse_regime(text: str, base: Sampling | None = None) -> Sampling:
    """Parse a regime name as written in reports, keeping the other settings of `base`.

    >>> parse_regime("hybrid-0.25").alpha
    0.25

    Raises:
        InputError: the text names no regime.
    """
    settings = base or Sampling()
    if text in REGIMES:
        return replace(settings, regime=text)
    regime, dash, alpha = text.partition("-")
    if regime != "hybrid" or not dash:
        raise InputError(f"regimes {text!r}: expected one of {', '.join(REGIMES.names())}, or hybrid-ALPHA")
    try:
        return replace(settings, regime=regime, alpha=float(alpha))
    except ValueError as error:
        raise InputError(f"regimes {text!r}: {alpha!r} is not a number from 0 to 1") from error


RegimeFunction = Callable[["RowTable", Sampling, int], "Plans"]


def register_regime(name: str, function: RegimeFunction) -> RegimeFunction:
    """Register a regime under a name, for `--regime NAME` and `Sampling(regime=NAME)`.

    An installed package can provide a regime to the command line through the entry point group `isoglot.regimes`.

    Args:
        name: must not contain spaces, commas, `=` or `:`.
        function: takes the row table, the sampling settings and the global batch size, and returns the `Plans` of its
            batches, made with `mono_plan`, `pair_plan` and `mixed_plan` of `isoglot.training.sampling.strata`.

    Returns:
        The function.

    Raises:
        InputError: not a suitable function, or a name that cannot be used in a flag.
    """
    check_regime(name, function)
    REGIMES.register(name, function)
    return function


def check_regime(name: str, function: object) -> None:
    """Check that a regime is a function of three arguments.

    Raises:
        InputError: it is not.
    """
    expected = "a function of a RowTable, a Sampling and a batch size to the `Plans` of its batches"
    check_function(f"regime {name!r}", function, 3, expected)


def sweep(regimes: Sequence[str], alphas: Sequence[float], schedule: Schedule = "constant") -> tuple[str, ...]:
    """Replace `hybrid` by one regime for each alpha, keeping the order and removing duplicates.

    With several alphas, 0 becomes `x-y` and 1 becomes `x-x-mono`, unless alpha changes over the run by a schedule.

    >>> sweep(["x-x-mono", "hybrid"], [0, 0.5, 1])
    ('x-x-mono', 'x-y', 'hybrid-0.5')

    Raises:
        InputError: no alpha is given, or several although no regime is `hybrid`.
    """
    if not alphas:
        raise InputError("alpha: expected at least one number from 0 to 1")
    if len(alphas) > 1 and "hybrid" not in regimes:
        raise InputError(
            f"alpha {','.join(f'{alpha:g}' for alpha in alphas)}: a sweep replaces hybrid in `regimes`, "
            f"which has {', '.join(regimes)}; add hybrid"
        )
    ends = {0.0: "x-y", 1.0: "x-x-mono"} if len(alphas) > 1 and schedule == "constant" else {}
    named: list[str] = []
    for text in regimes:
        if text == "hybrid":
            named += [ends.get(alpha, f"hybrid-{alpha:g}") for alpha in alphas]
        else:
            named.append(text)
    return tuple(dict.fromkeys(named) if len(alphas) > 1 else named)
