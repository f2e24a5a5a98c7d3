"""Save the trained model as a model folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import IsoglotError, first_line
from isoglot.core.files import write_text
from isoglot.encoders.adapters import holds_own_adapter, merge_adapter, remove_adapter, write_adapter
from isoglot.encoders.loading import backbone_of
from isoglot.encoders.tokens import reset_tokenizer
from isoglot.training.checkpoints import load_trainable
from isoglot.training.settings import TrainSettings, flat_settings
from isoglot.training.speed.token_table import restore_token_table


@contextmanager
def _adapter_only(model: SentenceTransformer) -> Iterator[None]:
    """Within the block, make the encoder's `save_pretrained` save only its adapter."""
    encoder: Any = backbone_of(model)
    encoder.save_pretrained = lambda path, **more: write_adapter(encoder, Path(path))
    try:
        yield
    finally:
        del encoder.save_pretrained


def take_result(
    model: SentenceTransformer, settings: TrainSettings, best: Path | None, trainable: Iterable[torch.nn.Parameter]
) -> None:
    """Load the best weights, undo the changes made for training, and unfreeze what was trainable before the run.

    Args:
        model: the model after the last step.
        settings: settings of the run.
        best: file of the selected weights; None keeps the weights of the last step.
        trainable: parameters that were trainable before the run.
    """
    if best is not None:
        load_trainable(model, best)
    _undo(model, trainable)
    if settings.lora is not None and settings.lora.merge:
        merge_adapter(backbone_of(model))


@contextmanager
def undone_on_error(model: SentenceTransformer, trainable: Iterable[torch.nn.Parameter]) -> Iterator[None]:
    """If the block fails or is interrupted, undo the changes made for training: the caller may go on with the model."""
    try:
        yield
    except BaseException:
        if holds_own_adapter(backbone_of(model)):
            remove_adapter(backbone_of(model))
        _undo(model, trainable)
        raise


def name_after(model: SentenceTransformer, folder: Path) -> None:
    """Name an open model after the folder that holds its weights: another training, or an index, records that name."""
    if not holds_own_adapter(backbone_of(model)):
        set_place(model, folder)
    model.isoglot_name = str(folder)


def set_place(model: SentenceTransformer, folder: Path | None) -> None:
    """Set where adapters look for the weights of their base: in a folder, or, while they change, nowhere."""
    encoder: Any = backbone_of(model)
    encoder.name_or_path = "" if folder is None else str(folder.resolve())


def _undo(model: SentenceTransformer, trainable: Iterable[torch.nn.Parameter]) -> None:
    restore_token_table(backbone_of(model))
    for parameter in trainable:
        parameter.requires_grad_(True)


def save_model(model: SentenceTransformer, folder: Path, base: str, settings: TrainSettings) -> None:
    """Write the model with a model card that lists every setting and contains no training rows.

    Raises:
        IsoglotError: the folder cannot be written or the disk is full.
    """
    table = "\n".join(f"| {key} | {value} |" for key, value in sorted(flat_settings(settings).items()))
    card = (
        "---\nlibrary_name: sentence-transformers\ntags:\n- sentence-transformers\n- sentence-similarity\n"
        "- multilingual\n- isoglot\n---\n\n"
        f"# {base} trained with isoglot: {settings.sampling.name}\n\n"
        "A dual encoder for monolingual, cross-lingual and multilingual retrieval. Use the prompts `query` and "
        "`document`; compare with cosine similarity.\n\n"
        f"| setting | value |\n|---|---|\n{table}\n"
    )
    reset_tokenizer(model)  # a run that was resumed may have tokenised nothing: both write the same files
    try:
        with _adapter_only(model) if settings.lora and not settings.lora.merge else nullcontext():
            model.save_pretrained(str(folder), create_model_card=False)
        write_text(folder / "README.md", card)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise IsoglotError(
            f"{folder}: the model could not be written ({first_line(error)}); is the disk full? "
            "Make room, then `resume`"
        ) from error
