"""Opening an encoder by name: the embedded one, a local folder, or a Hub id with an optional revision."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from isoglot.core.errors import InputError
from isoglot.encoders.devices import require_device
from isoglot.encoders.presets import Backbone, backbone

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

EMBEDDED = "embedded"

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def load(name: str = EMBEDDED, *, device: str | None = None) -> SentenceTransformer:
    """Load a Sentence Transformer with prompts `query` and `document` set.

    A folder that says how it pools (modules.json) is taken at its word. For plain transformers weights of a known
    backbone the preset decides: pooling, normalisation, longest text. Anything else is up to Sentence Transformers.

    Args:
        name: `embedded`, a local folder, or a Hub id (`id` or `id@revision`).
        device: such as `cpu` or `cuda`; chosen by torch when None.

    Raises:
        InputError: no such folder or model, a folder that is no model, or a device that is not there.

    Example:
        >>> model = load("embedded")  # doctest: +SKIP
        >>> model.encode_query("Wie hoch ist der Ararat?").shape  # doctest: +SKIP
        (384,)
    """
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    path, revision = locate(name)
    preset = backbone(name)
    require_device(device)
    try:
        model = SentenceTransformer(path, revision=revision, device=device)
        if preset.pooling is not None and not _says_how(path, revision):
            model = _pooled(model, preset, name)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"--model {name}: cannot be loaded ({first}); give `embedded`, a Sentence Transformers folder, or a Hub id"
        ) from error
    if not any(model.prompts.get(role) for role in ("query", "document")):
        model.prompts = {**model.prompts, "query": preset.query_prompt, "document": preset.passage_prompt}
    model.isoglot_backbone = preset
    return model


def preset_of(model: SentenceTransformer) -> Backbone:
    """The preset that `load` found for a model; for a model made elsewhere, that of its base."""
    found = getattr(model, "isoglot_backbone", None)
    return found if isinstance(found, Backbone) else backbone(str(model.model_card_data.base_model or ""))


def locate(name: str, flag: str = "--model") -> tuple[str, str | None]:
    """Resolve a model name to (folder or Hub id, revision).

    Raises:
        InputError: a path that does not exist or is not a folder, or something that is neither path nor id.
    """
    if name == EMBEDDED:
        from isoglot.encoders.embedded import embedded_folder

        return str(embedded_folder()), None
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
            raise InputError(f"{flag} {name}: a folder without modules.json or config.json, so no model")
        return name, None
    hub_id, _, revision = name.partition("@")
    looks_local = name.startswith((".", "/", "~")) or hub_id.count("/") > 1 or path.exists()
    if looks_local or not _HUB_ID.fullmatch(name):
        others = "`embedded`, " if flag == "--model" else ""
        raise InputError(f"{flag} {name}: no such model folder; give {others}a folder, or a Hub id")
    return hub_id, revision or None


def _says_how(path: str, revision: str | None) -> bool:
    """Whether a folder or Hub id holds modules.json."""
    if Path(path).is_dir():
        return (Path(path) / "modules.json").is_file()
    from sentence_transformers.util.file_io import is_sentence_transformer_model

    return bool(is_sentence_transformer_model(path, revision=revision))


def _pooled(model: SentenceTransformer, preset: Backbone, name: str) -> SentenceTransformer:
    """The same encoder with the preset's pooling and normalisation instead of the library's plain mean."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling

    encoder = model[0]
    width = encoder.get_embedding_dimension()
    modules = [encoder, Pooling(width, "mean" if preset.pooling == "mean" else "cls")]
    if preset.pooling == "pooler":
        pooler = getattr(backbone_of(model), "pooler", None)
        if pooler is None:
            raise InputError(f"--model {name}: its encoder has no pooler, which LaBSE's vectors go through")
        dense = pooler.dense
        modules.append(
            Dense(
                dense.in_features,
                dense.out_features,
                activation_function=torch.nn.Tanh(),
                init_weight=dense.weight.detach().clone(),
                init_bias=dense.bias.detach().clone(),
            )
        )
    pooled = SentenceTransformer(modules=[*modules, Normalize()], device=str(model.device))
    if preset.max_length is not None:
        pooled.max_seq_length = min(pooled.max_seq_length or preset.max_length, preset.max_length)
    return pooled


def backbone_of(model: SentenceTransformer) -> torch.nn.Module:
    """The transformers encoder inside.

    Raises:
        InputError: the model holds none.
    """
    inner = getattr(model[0], "auto_model", None)
    if inner is None:
        raise InputError("this model holds no transformers encoder; isoglot works with transformer encoders")
    encoder: torch.nn.Module = inner
    return encoder


def quiet_libraries() -> None:
    """Keep the training stack's bars and notices out of the user's terminal (warnings and errors still show)."""
    from transformers.utils.logging import disable_progress_bar

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    disable_progress_bar()
    for name in ("sentence_transformers", "transformers", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.WARNING)
