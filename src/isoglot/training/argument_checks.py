"""Checks of the arguments of `train`, before anything is written."""

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
from isoglot.encoders.adapters import holds_own_adapter
from isoglot.encoders.options import LoadOptions
from isoglot.training.losses.named import LossTerm
from isoglot.training.settings import LoraSettings, TrainSettings


def settings_of(settings: TrainSettings | None, lora: LoraSettings | None) -> TrainSettings:
    """Return the settings, with the separate argument `lora` merged into them.

    Raises:
        InputError: an argument has the wrong type, or the settings hold other adapters.
    """
    if settings is not None:
        check_kind("settings", settings, TrainSettings, "a TrainSettings of isoglot.training")
    if lora is not None:
        check_kind("lora", lora, LoraSettings, "a LoraSettings of isoglot.training")
    settings = settings or TrainSettings()
    if lora is None:
        return settings
    if settings.lora not in (None, lora):
        raise InputError("lora: the settings have a different lora; give only one")
    return replace(settings, lora=lora)


def check_selection(settings: TrainSettings, select_on: Any) -> None:
    """Check the model selection.

    Raises:
        InputError: `select_on` has the wrong type or conflicts with `holdout`, or `patience` is given without either.
    """
    if select_on is not None and not isinstance(select_on, (Prepared, Benchmark)) and not callable(select_on):
        raise InputError(
            f"select_on: given as {type(select_on).__name__}; expected prepared rows, a benchmark (`load_benchmark` "
            "opens one by name), or a function of the model"
        )
    if select_on is not None and settings.holdout:
        raise InputError(f"holdout {settings.holdout:g}: the model is already selected on what select_on gives")
    if settings.patience and not settings.holdout and select_on is None:
        raise InputError("patience: early stopping needs data to measure on; give `holdout` 0.05 too, or select_on")


def check_training(model: Any, folder: Any, loss: Any, callbacks: Any, options: Any) -> None:
    """Check the types of the other arguments of `train`.

    Raises:
        InputError: the model, folder, loss, callbacks or options have the wrong type.
    """
    check_kind("model", model, (str, Path, SentenceTransformer), "what isoglot.load takes, or a Sentence Transformer")
    if isinstance(model, SentenceTransformer) and holds_own_adapter(getattr(model[0], "auto_model", None)):
        raise InputError(
            "model: holds the adapter of an earlier training, which this one would lose; load that training's folder, "
            "or give `lora.merge` there"
        )
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
