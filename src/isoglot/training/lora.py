"""Low-rank adapters that are trained instead of the weights (LoRA, arXiv 2106.09685)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.encoders.adapters import adapt, require_peft
from isoglot.encoders.loading import backbone_of
from isoglot.encoders.model_names import locate
from isoglot.training.settings import LoraSettings


def add_lora(model: SentenceTransformer, settings: LoraSettings) -> None:
    """Add a new adapter to a model's encoder and freeze everything else; the model's output does not change yet.

    Raises:
        InputError: no layer matches the given names, or a saved adapter could not refer to its base model.
        MissingPackageError: `peft` is not installed.
    """
    peft, encoder = require_peft(), backbone_of(model)
    name, revision = _base(model, encoder)
    if name is None and not settings.merge:
        raise InputError(
            "an adapter is saved without its base model's weights, and these are in no folder and on no hub; "
            "give `lora.merge`, or save the model first and train from its folder"
        )
    model.requires_grad_(False)
    config = peft.LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha or 2 * settings.rank,
        target_modules=list(settings.target_names) or "all-linear",
        lora_dropout=settings.dropout,
        base_model_name_or_path=name,
        revision=revision,
    )
    try:
        adapt(encoder, config)
    except ValueError as error:
        names = ",".join(settings.target_names)
        raise InputError(f"lora.targets {names}: no such layers; there are: {', '.join(_linear(encoder))}") from error
    for factor in encoder.parameters():
        if factor.requires_grad:  # peft uses the dtype of the adapted layer, too coarse for small updates
            factor.data = factor.data.float()


def _base(model: SentenceTransformer, encoder: Any) -> tuple[str | None, str | None]:
    """Return where the encoder's weights can be found again: folder or Hub id (None if nowhere), and revision."""
    path = str(encoder.name_or_path)
    if Path(path).is_dir():
        return str(Path(path).resolve()), None
    if not path or path.startswith(("/", ".", "~")):
        return None, None
    asked = getattr(model, "isoglot_name", None)
    return path, locate(asked)[1] if asked else None


def _linear(encoder: Any) -> list[str]:
    """Return the last components of the linear layers' names."""
    from torch import nn

    return sorted({name.rpartition(".")[2] for name, layer in encoder.named_modules() if isinstance(layer, nn.Linear)})
