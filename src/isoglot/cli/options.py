"""Parameters that several verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

# The parser evaluates inherited annotations in this module, so their names must be here.
from isoglot.config import Embeddings, Precision, TrainSettings  # noqa: F401
from isoglot.regimes import XY, Regime, Sampling, XYDraw  # noqa: F401
from isoglot.schedules import Schedule  # noqa: F401


def _commas(type_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(part.strip() for token in tokens for part in token.value.split(",") if part.strip())


def _comma_numbers(type_: Any, tokens: Sequence[Token]) -> tuple[int, ...]:
    return tuple(int(part) for part in _commas(type_, tokens))


def _comma_paths(type_: Any, tokens: Sequence[Token]) -> tuple[Path, ...]:
    return tuple(Path(part) for part in _commas(type_, tokens))


def _comma_fractions(type_: Any, tokens: Sequence[Token]) -> tuple[float, ...]:
    return tuple(float(part) for part in _commas(type_, tokens))


Names = Annotated[tuple[str, ...], Parameter(converter=_commas, negative="")]
Numbers = Annotated[tuple[int, ...], Parameter(converter=_comma_numbers, negative="")]
Fractions = Annotated[tuple[float, ...], Parameter(converter=_comma_fractions, negative="")]
Paths = Annotated[tuple[Path, ...], Parameter(converter=_comma_paths, negative="")]
OutputDir = Annotated[Path, Parameter(name=["--output-dir", "-o"])]
OutputFile = Annotated[Path, Parameter(name=["--output", "-o"])]
Switch = Annotated[bool, Parameter(negative="")]


@dataclass(frozen=True)
class StudySampling(Sampling):
    """Sampling of a study: its regimes and alphas are lists of their own."""

    regime: Annotated[Regime, Parameter(parse=False)] = "hybrid"
    alpha: Annotated[float, Parameter(parse=False)] = 0.5


@dataclass(frozen=True)
class StudyTraining(TrainSettings):
    """Training of a study: its seeds are a list of their own."""

    sampling: Annotated[Sampling, Parameter(parse=False)] = field(default_factory=Sampling)
    seed: Annotated[int, Parameter(parse=False)] = 0
