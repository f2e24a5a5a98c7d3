"""The model folder that a run leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import IsoglotError
from isoglot.core.files import write_text
from isoglot.encoders.adapters import write_adapter
from isoglot.encoders.loading import backbone_of
from isoglot.training.settings import TrainSettings, flat_settings


@contextmanager
def _adapter_only(model: SentenceTransformer) -> Iterator[None]:
    """Within the block the encoder, when it is asked to save itself, saves its adapter."""
    encoder: Any = backbone_of(model)
    encoder.save_pretrained = lambda path, **more: write_adapter(encoder, Path(path))
    try:
        yield
    finally:
        del encoder.save_pretrained


def save_model(model: SentenceTransformer, folder: Path, base: str, settings: TrainSettings) -> None:
    """Write the model with a card that states every setting and holds no training rows.

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
    try:
        with _adapter_only(model) if settings.lora and not settings.lora.merge else nullcontext():
            model.save_pretrained(str(folder), create_model_card=False)
        write_text(folder / "README.md", card)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise IsoglotError(
            f"{folder}: the model could not be written ({str(error).splitlines()[0]}); is the disk full? "
            "Make room, then `resume`"
        ) from error
