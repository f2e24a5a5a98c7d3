"""Settings of a study."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Parameter

from isoglot.core.arguments import check_kind, check_whole, settle
from isoglot.core.errors import InputError
from isoglot.encoders.options import LEAST, LoadOptions
from isoglot.training.sampling.regimes import parse_regime
from isoglot.training.settings import TrainSettings


@dataclass(frozen=True)
class StudySettings:
    """What a study compares.

    Attributes:
        model: The encoder every run starts from.
        regimes: Names such as `x-x-mono` or `hybrid-0.5`.
        seeds: Each regime is trained once with each seed.
        train: All other training settings; its sampling is the base of every regime.
        length: Queries and candidates are truncated to this many tokens for evaluation.
        options: How the model is opened.
        allow_overlap: Train on rows that also occur in the benchmark.
        keep_models: Keep the trained models in the output folder.
        resamples: Number of bootstrap resamples.
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
            InputError: no regime or seed, duplicates, an unknown regime, or a value of the wrong type or out of range.
        """
        settle(self)
        check_kind("train", self.train, TrainSettings, "a TrainSettings of isoglot.training")
        check_kind("options", self.options, LoadOptions, "a LoadOptions of isoglot.encoders")
        check_kind("model", self.model, str, "a name or a folder, as text")
        for name, values in (("regimes", self.regimes), ("seeds", self.seeds)):
            example = type(self).__dataclass_fields__[name].default
            check_kind(name, values, (list, tuple), f"several, such as {example}")
            if not values or len(set(values)) != len(values):
                raise InputError(f"{name} {','.join(map(str, values))!r}: expected at least one, each once")
        for text in self.regimes:
            check_kind("regimes: one of them", text, str, "a name, such as 'hybrid-0.5'")
        names = [parse_regime(text, self.train.sampling).name for text in self.regimes]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"regimes {','.join(self.regimes)!r}: two of them are {twice[0]}; give each once")
        for seed in self.seeds:
            check_whole("seeds", seed, 0)
        if self.length is not None:
            check_whole("length", self.length, LEAST, "tokens")
        check_whole("resamples", self.resamples, 2)
