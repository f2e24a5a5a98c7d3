"""Folders that hold a LoRA adapter instead of weights; the base weights are elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from isoglot.core.errors import InputError, first_line, needs
from isoglot.core.files import read_json
from isoglot.core.run_record import read_run
from isoglot.encoders.hub_access import require_hub
from isoglot.encoders.model_names import locate

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_NAME = "default"
# File patterns of a base model's weights.
_BASE_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model*.bin.index.json")


def is_adapter(folder: str | Path) -> bool:
    """Return whether a folder holds an adapter."""
    return (Path(folder) / CONFIG).is_file()


def require_peft() -> Any:
    """Import and return the package `peft`.

    Raises:
        MissingPackageError: it is not installed.
    """
    with needs("LoRA adapters need the package peft", "lora"):
        import peft
    return peft


def base_of(folder: Path) -> str:
    """Return the name of an adapter's base model: its path, or, if that no longer exists, the name given to training.

    Raises:
        InputError: the adapter's configuration does not name it.
    """
    name = read_json(folder / CONFIG).get("base_model_name_or_path")
    if not name:
        raise InputError(f"{folder / CONFIG}: no base_model_name_or_path; train again, with `isoglot train --merge`")
    looks_local = str(name).startswith(("/", ".", "~"))
    record = read_run(folder)
    if looks_local and not Path(name).is_dir() and record is not None:
        return str(record["settings"].get("model", name))
    return str(name)


@contextmanager
def weights_of(name: str) -> Iterator[str]:
    """Yield what Sentence Transformers can open: the name itself or, for an adapter, a folder with the base's weights.

    Raises:
        InputError: the base of an adapter does not exist, or holds no weights.
    """
    if not is_adapter(name):
        yield name
        return
    folder = Path(name).resolve()
    base = _folder_of(folder)
    weights = [path for pattern in _BASE_WEIGHTS for path in base.glob(pattern)]
    if not weights:
        raise InputError(f"{folder}: adapts {base}, which holds no weights; put the base model back there")
    with TemporaryDirectory(prefix="isoglot-adapter-") as place:
        beside = (path for path in folder.iterdir() if not path.name.startswith("adapter_"))
        for path in (*beside, *weights):
            (Path(place) / path.name).symlink_to(path.resolve())
        yield place


def _folder_of(folder: Path) -> Path:
    """Return the folder of an adapter's base; for a Hub id, from the cache or downloaded."""
    name, revision = locate(base_of(folder), what=f"{folder}: adapts model")
    if Path(name).is_dir():
        return Path(name).resolve()
    from huggingface_hub import snapshot_download

    revision = read_json(folder / CONFIG).get("revision") or revision
    require_hub(name, revision)
    return Path(snapshot_download(name, revision=revision))


def adapt(encoder: Any, config: Any) -> None:
    """Add a fresh adapter to a transformers encoder; from then on only the adapter is trainable."""
    require_peft().inject_adapter_in_model(config, encoder, _NAME)


def read_adapter(encoder: Any, folder: Path) -> None:
    """Load a folder's adapter into a transformers encoder.

    Raises:
        InputError: it was made for another architecture, or is damaged.
    """
    from safetensors.torch import load_file

    peft = require_peft()
    try:
        adapt(encoder, peft.PeftConfig.from_pretrained(str(folder)))
        result = peft.set_peft_model_state_dict(encoder, load_file(folder / WEIGHTS), adapter_name=_NAME)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: its adapter cannot be read ({first_line(error)})") from error
    if result.unexpected_keys:
        raise InputError(
            f"{folder}: its adapter has weights for layers not in the base model, such as {result.unexpected_keys[0]}"
        )


def write_adapter(encoder: Any, folder: Path) -> None:
    """Write a transformers encoder's adapter in peft's format, with the encoder's configuration."""
    from safetensors.torch import save_file

    tensors = require_peft().get_peft_model_state_dict(encoder, adapter_name=_NAME)
    prefixed = {f"base_model.model.{name}": value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(prefixed, folder / WEIGHTS, metadata={"format": "pt"})
    encoder.peft_config[_NAME].save_pretrained(str(folder))
    encoder.config.save_pretrained(str(folder))


def is_linear(layer: Any) -> bool:
    """Return whether a module is a plain linear layer with a bias, with or without a LoRA adapter."""
    from torch import nn

    base = layer.get_base_layer() if hasattr(layer, "get_delta_weight") else layer
    return type(base) is nn.Linear and base.bias is not None


def linear_weights(layer: Any) -> tuple[Any, Any]:
    """Return the weight (e, d) and bias (e,) of a layer for which `is_linear` is true, with its adapters added."""
    if not hasattr(layer, "get_delta_weight"):
        return layer.weight, layer.bias
    base = layer.get_base_layer()
    weight = base.weight
    if not layer.merged and not layer.disable_adapters:
        for name in layer.active_adapters:
            weight = weight + layer.get_delta_weight(name)
    return weight, base.bias


def merge_adapter(encoder: Any) -> None:
    """Merge the adapter into the weights and remove it: the result is a plain encoder that computes the same."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in encoder.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.merge(safe_merge=True)
    remove_adapter(encoder)


def remove_adapter(encoder: Any) -> None:
    """Remove the adapter, which leaves the weights under it."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(encoder.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            encoder.set_submodule(name, layer.get_base_layer())
    del encoder.peft_config


def holds_own_adapter(encoder: Any) -> bool:
    """Return whether an open encoder has an adapter that isoglot added and that transformers does not know of."""
    return hasattr(encoder, "peft_config") and not getattr(encoder, "_hf_peft_config_loaded", False)
