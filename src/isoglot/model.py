"""Opening an encoder by name: the embedded one, a local folder, or a Hub id with an optional revision."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from isoglot.backbones import backbone
from isoglot.errors import InputError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

EMBEDDED = "embedded"

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def load(name: str = EMBEDDED, *, device: str | None = None) -> SentenceTransformer:
    """Load a Sentence Transformer with prompts `query` and `document` set.

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
    import torch
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    path, revision = locate(name)
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
        raise InputError(f"--device {device}: not usable here ({str(error).splitlines()[0]})") from error
    try:
        model = SentenceTransformer(path, revision=revision, device=device)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"--model {name}: cannot be loaded ({first}); give `embedded`, a Sentence Transformers folder, or a Hub id"
        ) from error
    preset = backbone(name)
    if not any(model.prompts.get(role) for role in ("query", "document")):
        model.prompts = {**model.prompts, "query": preset.query_prompt, "document": preset.passage_prompt}
    return model


def locate(name: str) -> tuple[str, str | None]:
    """Resolve a model name to (folder or Hub id, revision).

    Raises:
        InputError: a path that does not exist or is not a folder, or something that is neither path nor id.
    """
    if name == EMBEDDED:
        from isoglot.embedded import embedded_folder

        return str(embedded_folder()), None
    path = Path(name)
    if path.is_dir():
        if not (path / "config.json").is_file() and not (path / "modules.json").is_file():
            raise InputError(f"--model {name}: a folder without modules.json or config.json, so no model")
        return name, None
    hub_id, _, revision = name.partition("@")
    looks_local = name.startswith((".", "/", "~")) or hub_id.count("/") > 1 or path.exists()
    if looks_local or not _HUB_ID.fullmatch(name):
        raise InputError(f"--model {name}: no such model folder; give `embedded`, a folder, or a Hub id")
    return hub_id, revision or None


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


def fast_bf16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.startswith("cpu"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def resolve_precision(precision: str, device: str) -> Literal["bf16", "fp32"]:
    """Turn `auto` into what the device does well.

    Raises:
        InputError: an unknown precision.
    """
    if precision == "auto":
        return "bf16" if fast_bf16(device) else "fp32"
    if precision in ("bf16", "fp32"):
        return "bf16" if precision == "bf16" else "fp32"
    raise InputError(f"--precision {precision!r}: expected one of auto, bf16, fp32")


def quiet_libraries() -> None:
    """Keep the training stack's bars and notices out of the user's terminal (warnings and errors still show)."""
    from transformers.utils.logging import disable_progress_bar

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    disable_progress_bar()
    for name in ("sentence_transformers", "transformers", "datasets", "accelerate"):
        logging.getLogger(name).setLevel(logging.WARNING)
