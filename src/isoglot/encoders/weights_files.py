"""A checksum of the weights in a model's folder, to detect that others have replaced them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from isoglot.core.files import read_json, readable, sha256
from isoglot.encoders.model_names import EMBEDDED

_PATTERNS = ("*.safetensors", "pytorch_model*.bin")  # in the order in which they are preferred when loading


def model_checksum(name: str) -> dict[str, str]:
    """Return `model`: SHA-256 over names, sizes and contents of a model's weights files; empty if none are local.

    Reads the files without loading the model: a GB takes about a second. For an adapter, only its own weights count.

    Args:
        name: of the model: a folder, or whatever else `isoglot.load` takes.

    Raises:
        InputError: a file cannot be read.
    """
    folder = Path(name)
    if name == EMBEDDED or not folder.is_dir():
        return {}
    parts = []
    for path in _weights_files(folder):
        with readable(path):
            parts.append(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0{sha256(path)}")
    return {"model": hashlib.sha256("\0".join(parts).encode()).hexdigest()} if parts else {}


def _weights_files(folder: Path) -> Iterator[Path]:
    """Yield the weights files of the folder itself, and of its modules' subfolders."""
    modules = folder / "modules.json"
    listed = read_json(modules) if modules.is_file() else []
    below = {str(module.get("path") or "") for module in listed if isinstance(module, dict)}
    for place in sorted({folder, *(folder / path for path in below)}):
        found = (sorted(place.glob(pattern)) for pattern in _PATTERNS)
        yield from next((files for files in found if files), [])
