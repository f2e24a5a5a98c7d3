"""Settings of training and of studies: one name each for flag, recipe key and Python argument."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

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
            if not value > 0:
                raise InputError(f"{flag} {value}: expected a positive number")
        for flag, value, least in (
            ("--batch-size", self.batch_size, 2),
            ("--max-steps", self.max_steps, 1),
            ("--warmup-steps", self.warmup_steps, 0),
            ("--save-steps", self.save_steps, 0),
            ("--query-length", self.query_length or 4, 4),
            ("--passage-length", self.passage_length or 4, 4),
        ):
            if value < least:
                raise InputError(f"{flag} {value}: expected at least {least}")


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
        """Check the regimes and seeds.

        Raises:
            InputError: none given, one given twice, or an unknown regime.
        """
        for flag, values in (("--regimes", self.regimes), ("--seeds", self.seeds)):
            if not values or len(set(values)) != len(values):
                raise InputError(f"{flag} {','.join(map(str, values))!r}: expected at least one, each once")
        names = [parse_regime(text, self.train.sampling).name for text in self.regimes]
        if len(set(names)) != len(names):
            raise InputError(f"--regimes {','.join(self.regimes)!r}: two of them are {names[0]}; give each once")


def flat_settings(settings: TrainSettings) -> dict[str, Any]:
    """All settings in one flat dict, sampling included, as flags and recipes name them."""
    values = asdict(settings)
    return {**values.pop("sampling"), **values}
