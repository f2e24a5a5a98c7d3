"""Low-rank adapters in place of the weights (LoRA, arXiv 2106.09685)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError
from isoglot.encoders.adapters import adapt, require_peft
from isoglot.encoders.loading import backbone_of
from isoglot.encoders.names import locate
from isoglot.training.settings import LoraSettings


def add_lora(model: SentenceTransformer, settings: LoraSettings) -> None:
    """Put a fresh adapter into a model's encoder and freeze everything else; the output stays what it was.

    Raises:
        InputError: no layer has one of the names, or the base could not be found again by what is saved.
        MissingPackageError: `peft` is not installed.
    """
    peft, encoder = require_peft(), backbone_of(model)
    name, revision = _base(model, encoder)
    if name is None and not settings.merge:
        raise InputError(
            "an adapter is saved without the weights it adapts, and these lie in no folder and on no hub; "
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
        if factor.requires_grad:  # peft gives it the type of what it adapts, in which small steps vanish
            factor.data = factor.data.float()


def _base(model: SentenceTransformer, encoder: Any) -> tuple[str | None, str | None]:
    """Where the encoder's weights can be found again (folder or Hub id, and revision); None where nowhere."""
    path = str(encoder.name_or_path)
    if Path(path).is_dir():
        return str(Path(path).resolve()), None
    if not path or path.startswith(("/", ".", "~")):
        return None, None
    asked = getattr(model, "isoglot_name", None)
    return path, locate(asked)[1] if asked else None


def _linear(encoder: Any) -> list[str]:
    """Names that linear layers end in."""
    from torch import nn

    return sorted({name.rpartition(".")[2] for name, layer in encoder.named_modules() if isinstance(layer, nn.Linear)})
