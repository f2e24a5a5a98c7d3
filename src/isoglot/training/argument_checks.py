"""What `train` is asked for, checked before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.prepared import Prepared
from isoglot.encoders.options import LoadOptions
from isoglot.training.losses.named import LossTerm
from isoglot.training.settings import LoraSettings, TrainSettings


def settings_of(settings: TrainSettings | None, lora: LoraSettings | None) -> TrainSettings:
    """The settings, with adapters that were asked for beside them.

    Raises:
        InputError: something else than settings, or adapters in both.
    """
    if settings is not None:
        check_kind("settings", settings, TrainSettings, "a TrainSettings of isoglot.training")
    if lora is not None:
        check_kind("lora", lora, LoraSettings, "a LoraSettings of isoglot.training")
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
            f"select_on: given as {type(select_on).__name__}; expected prepared rows, a benchmark (`load_benchmark` "
            "opens one by name), or a function of the model"
        )
    if select_on is not None and settings.holdout:
        raise InputError(f"holdout {settings.holdout:g}: the model is already selected on what select_on gives")
    if settings.patience and not settings.holdout and select_on is None:
        raise InputError(
            "patience: stopping early needs something to measure on; give `holdout` 0.05 too, or select_on"
        )


def check_training(model: Any, folder: Any, loss: Any, callbacks: Any, options: Any) -> None:
    """Refuse what else is of another kind than `train` takes.

    Raises:
        InputError: a model, folder, loss, callback or options of another kind.
    """
    check_kind("model", model, (str, Path, SentenceTransformer), "what isoglot.load takes, or a Sentence Transformer")
    check_kind("folder", folder, (str, Path), "the output folder, as text or a path")
    if isinstance(loss, str):
        raise InputError(
            f"loss {loss!r}: given as a name; expected a function of a batch; names of registered losses go into "
            f"TrainSettings(loss=('{loss.partition('=')[0]}=1',))"
        )
    if loss is not None and not callable(loss) and not isinstance(loss, LossTerm):
        raise InputError(f"loss: given as {type(loss).__name__}; expected a function of a batch to a scalar")
    check_kind("callbacks", callbacks, (list, tuple), "several callbacks of transformers' Trainer, in a list")
    for callback in callbacks:
        if not (isinstance(callback, type) and issubclass(callback, TrainerCallback)):
            check_kind("callbacks: one of them", callback, TrainerCallback, "a TrainerCallback of transformers")
    if options is not None:
        check_kind("options", options, LoadOptions, "a LoadOptions of isoglot.encoders")
