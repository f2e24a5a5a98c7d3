"""Settings of training and of studies: one name each for flag, recipe key and Python argument."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter

from isoglot.errors import InputError
from isoglot.regimes import Sampling, parse_regime

Precision = Literal["auto", "bf16", "fp32"]
Embeddings = Literal["used", "all", "freeze"]


@dataclass(frozen=True)
class TrainSettings:
    """How to train; the defaults are what `docs/training.md` recommends.

    Attributes:
        sampling: the regime.
        temperature: of InfoNCE over cosines.
        batch_size: pairs a process sees in one step.
        lr, weight_decay, warmup_steps: of AdamW, with linear decay to zero after the warm-up.
        clip: largest gradient norm.
        max_steps: optimiser steps.
        seed: of batches and dropout.
        query_length, passage_length: tokens kept; the backbone's preset when None.
        embeddings: which rows of the token table train.
        precision: `bf16` is autocast over float32 weights; `auto` takes it where the device has it in hardware.
        chunk: texts embedded at a time, sorted by length; None decides by device.
        save_steps: steps between checkpoints; 0 keeps none.
        device: such as `cpu`; chosen by torch when None.
    """

    sampling: Annotated[Sampling, Parameter(name="*")] = field(default_factory=Sampling)
    temperature: float = 0.03
    batch_size: int = 32
    lr: float = 3e-5
    weight_decay: float = 0.01
    warmup_steps: int = 10
    clip: float = 1.0
    max_steps: int = 300
    seed: int = 0
    query_length: int | None = None
    passage_length: int | None = None
    embeddings: Embeddings = "used"
    precision: Precision = "auto"
    chunk: int | None = None
    save_steps: int = 100
    device: str | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: one that cannot work, with its flag.
        """
        for flag, value in (("--temperature", self.temperature), ("--lr", self.lr), ("--clip", self.clip)):
            if not 0 < value < math.inf:
                raise InputError(f"{flag} {value}: expected a positive number")
        for flag, number, least in (
            ("--batch-size", self.batch_size, 2),
            ("--max-steps", self.max_steps, 1),
            ("--warmup-steps", self.warmup_steps, 0),
            ("--save-steps", self.save_steps, 0),
            ("--weight-decay", self.weight_decay, 0),
            ("--seed", self.seed, 0),
            ("--chunk", self.chunk, 1),
            ("--query-length", self.query_length, 4),
            ("--passage-length", self.passage_length, 4),
        ):
            if number is not None and not number >= least:
                raise InputError(f"{flag} {number}: expected at least {least}")
        for flag, name, allowed in (
            ("--embeddings", self.embeddings, get_args(Embeddings)),
            ("--precision", self.precision, get_args(Precision)),
        ):
            if name not in allowed:
                raise InputError(f"{flag} {name!r}: expected one of {', '.join(allowed)}")


@dataclass(frozen=True)
class StudySettings:
    """What a study compares.

    Attributes:
        model: the encoder every run starts from.
        regimes: names such as `x-x-mono` or `hybrid-0.5`.
        seeds: each regime is trained once with each.
        train: everything else about training; its sampling is the base of every regime.
        length: tokens kept when measuring.
        allow_overlap: train on rows that also stand in the benchmark.
        keep_models: leave the trained models in the output folder.
        resamples: of the bootstrap.
        examples: show queries and passages of the benchmark in the HTML report.
    """

    model: str = "embedded"
    regimes: tuple[str, ...] = ("x-x-mono", "hybrid")
    seeds: tuple[int, ...] = (0,)
    train: Annotated[TrainSettings, Parameter(name="*")] = field(default_factory=TrainSettings)
    length: int | None = None
    allow_overlap: bool = False
    keep_models: bool = True
    resamples: int = 10_000
    examples: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: no regime or seed, one given twice, an unknown regime, or a number out of range.
        """
        for flag, values in (("--regimes", self.regimes), ("--seeds", self.seeds)):
            if not values or len(set(values)) != len(values):
                raise InputError(f"{flag} {','.join(map(str, values))!r}: expected at least one, each once")
        names = [parse_regime(text, self.train.sampling).name for text in self.regimes]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise InputError(f"--regimes {','.join(self.regimes)!r}: two of them are {twice[0]}; give each once")
        if min(self.seeds) < 0:
            raise InputError(f"--seeds {','.join(map(str, self.seeds))!r}: expected numbers from 0")
        if self.length is not None and self.length < 4:
            raise InputError(f"--length {self.length}: expected at least 4")
        if self.resamples < 2:
            raise InputError(f"--resamples {self.resamples}: expected at least 2")


def flat_settings(settings: TrainSettings) -> dict[str, Any]:
    """All settings in one flat dict, sampling included, as flags and recipes name them."""
    values = asdict(settings)
    return {**values.pop("sampling"), **values}
