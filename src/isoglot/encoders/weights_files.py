"""What tells the weights in a model's folder from others that lay or will lie there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from isoglot.core.files import read_json, readable, sha256
from isoglot.encoders.names import EMBEDDED

_PATTERNS = ("*.safetensors", "pytorch_model*.bin")  # the first that a folder has is what is opened


def model_checksum(name: str) -> dict[str, str]:
    """SHA-256 over names, sizes and contents of a model's weights files, as `model`; nothing where it has none here.

    Files are read and nothing is loaded: a GB takes about a second. Of an adapter, its own weights count.

    Args:
        name: of the model: a folder, or whatever else `isoglot.load` takes.

    Raises:
        InputError: a file that cannot be read.
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
    """Those of the folder itself, and of the modules that lie below it."""
    modules = folder / "modules.json"
    listed = read_json(modules) if modules.is_file() else []
    below = {str(module.get("path") or "") for module in listed if isinstance(module, dict)}
    for place in sorted({folder, *(folder / path for path in below)}):
        found = (sorted(place.glob(pattern)) for pattern in _PATTERNS)
        yield from next((files for files in found if files), [])
