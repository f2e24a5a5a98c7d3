"""What a study compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Parameter

from isoglot.core.errors import InputError
from isoglot.encoders.options import LoadOptions
from isoglot.training.sampling.regimes import parse_regime
from isoglot.training.settings import TrainSettings


@dataclass(frozen=True)
class StudySettings:
    """What a study compares.

    Attributes:
        model: The encoder every run starts from.
        regimes: Names such as `x-x-mono` or `hybrid-0.5`.
        seeds: Each regime is trained once with each.
        train: Everything else about training; its sampling is the base of every regime.
        length: Tokens kept when measuring.
        options: How the model is opened.
        allow_overlap: Train on rows that also stand in the benchmark.
        keep_models: Leave the trained models in the output folder.
        resamples: Of the bootstrap.
        examples: Show queries and passages of the benchmark in the HTML report.
    """

    model: str = "embedded"
    regimes: tuple[str, ...] = ("x-x-mono", "hybrid")
    seeds: tuple[int, ...] = (0,)
    train: Annotated[TrainSettings, Parameter(name="*")] = field(default_factory=TrainSettings)
    length: int | None = None
    options: LoadOptions = field(default_factory=LoadOptions)
    allow_overlap: bool = False
    keep_models: bool = True
    resamples: int = 10_000
    examples: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: no regime or seed, one given twice, an unknown regime, or a number out of range.
        """
        for name, values in (("regimes", self.regimes), ("seeds", self.seeds)):
            if not values or len(set(values)) != len(values):
                raise InputError(f"{name} {','.join(map(str, values))!r}: expected at least one, each once")
        names = [parse_regime(text, self.train.sampling).name for text in self.regimes]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"regimes {','.join(self.regimes)!r}: two of them are {twice[0]}; give each once")
        if min(self.seeds) < 0:
            raise InputError(f"seeds {','.join(map(str, self.seeds))!r}: expected numbers from 0")
        if self.length is not None and self.length < 4:
            raise InputError(f"length {self.length}: expected at least 4")
        if self.resamples < 2:
            raise InputError(f"resamples {self.resamples}: expected at least 2")
