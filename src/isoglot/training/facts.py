"""The facts that determine the outcome of a run; a resumed run must have the same ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from isoglot.core.run_record import require_same
from isoglot.data.benchmarks.benchmark import Benchmark
from isoglot.data.prepared import Prepared
from isoglot.encoders.weights_files import model_checksum
from isoglot.training.losses.named import LossTerm
from isoglot.training.settings import TrainSettings, flat_settings

# Settings that may change when a run is resumed, because they affect neither the global batches nor the loss.
_FREE = ("batch_size", "chunk", "device", "grad_cache", "log_batches", "log_steps", "save_steps", "tensorboard")


def run_facts(
    model: str | SentenceTransformer,
    rows: Prepared,
    settings: TrainSettings,
    processes: int,
    *,
    loss: LossTerm | None = None,
    select_on: Prepared | Benchmark | Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Return every setting of a run and the other arguments of `train`, as recorded in `run.json`."""
    facts = {"model": model_name(model), "rows": rows.checksum, **flat_settings(settings), "processes": processes}
    if not isinstance(model, str):
        facts["weights"] = weights_checksum(model)
    elif checksum := model_checksum(model):
        facts["weights"] = checksum["model"]
    if settings.align_teacher is not None and (checksum := model_checksum(settings.align_teacher)):
        facts["align_teacher_weights"] = checksum["model"]
    if loss is not None:
        facts["loss_function"] = _name_of(loss.function)
    if select_on is not None:
        given = select_on
        facts["select_on"] = given.checksum if isinstance(given, (Prepared, Benchmark)) else _name_of(given)
    return facts


def fixed_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that determine the outcome: how a global batch is split over processes or chunks does not."""
    fixed = {key: value for key, value in facts.items() if key not in (*_FREE, "processes")}
    return {**fixed, "global_batch_size": facts["batch_size"] * facts["processes"]}


def require_same_facts(path: Path, saved: dict[str, Any], facts: dict[str, Any]) -> None:
    """Reject resuming a run with other facts; earlier releases did not record the weights of models given by name.

    Raises:
        InputError: listing every fact that differs, with both values.
    """
    known = {name: facts.get(name) for name in ("weights", "align_teacher_weights")}
    require_same(path, {**known, **saved}, facts)


def model_name(model: str | SentenceTransformer) -> str:
    """Return the name of a model: the given name or, for a loaded model, the name of its base model."""
    return model if isinstance(model, str) else str(model.model_card_data.base_model or type(model).__name__)


def weights_checksum(model: SentenceTransformer) -> str:
    """Return a checksum of the names and values of a model's weights."""
    digest = hashlib.blake2b(digest_size=16)
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _name_of(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__name__)}"
