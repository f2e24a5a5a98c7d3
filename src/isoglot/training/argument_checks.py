"""What `train` is asked for, checked before anything is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.prepared import Prepared
from isoglot.training.settings import LoraSettings, TrainSettings


def settings_of(settings: TrainSettings | None, lora: LoraSettings | None) -> TrainSettings:
    """The settings, with adapters that were asked for beside them.

    Raises:
        InputError: something else than settings, or adapters in both.
    """
    if settings is not None and not isinstance(settings, TrainSettings):
        raise InputError(f"settings: got {type(settings).__name__}; expected a TrainSettings of isoglot.training")
    if lora is not None and not isinstance(lora, LoraSettings):
        raise InputError(f"lora: got {type(lora).__name__}; expected a LoraSettings of isoglot.training")
    settings = settings or TrainSettings()
    if lora is None:
        return settings
    if settings.lora not in (None, lora):
        raise InputError("lora: the settings hold others; give one of the two")
    return replace(settings, lora=lora)


def check_selection(settings: TrainSettings, select_on: Any) -> None:
    """Refuse a selection of another kind, or one that the settings contradict.

    Raises:
        InputError: either.
    """
    if select_on is not None and not isinstance(select_on, (Prepared, Benchmark)) and not callable(select_on):
        raise InputError(
            f"select_on: got {type(select_on).__name__}; expected prepared rows, a benchmark (`load_benchmark` opens "
            "one by name), or a function of the model"
        )
    if select_on is not None and settings.holdout:
        raise InputError(f"holdout {settings.holdout:g}: the model is already selected on what select_on gives")
    if settings.patience and not settings.holdout and select_on is None:
        raise InputError(
            "patience: stopping early needs something to measure on; give `holdout` 0.05 too, or select_on"
        )
