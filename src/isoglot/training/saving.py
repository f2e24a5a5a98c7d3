"""The model folder that a run leaves."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import IsoglotError
from isoglot.core.files import write_text
from isoglot.training.settings import TrainSettings, flat_settings


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
        model.save_pretrained(str(folder), create_model_card=False)
        write_text(folder / "README.md", card)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise IsoglotError(
            f"{folder}: the model could not be written ({str(error).splitlines()[0]}); is the disk full? "
            "Make room, then --resume"
        ) from error
