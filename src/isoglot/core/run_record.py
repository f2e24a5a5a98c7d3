"""run.json: a record of how an output folder was made, in order to reproduce it."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.core.version import __version__

RECORD = "run.json"
_PACKAGES = ("sentence-transformers", "transformers", "torch", "accelerate", "numpy", "pyarrow")


def write_run(
    folder: Path,
    verb: str,
    settings: dict[str, Any],
    *,
    data: dict[str, str],
    seed: int | None,
    device: str,
    seconds: float,
    **more: Any,
) -> None:
    """Write `run.json`, the last file of an output folder: its presence marks the run as complete.

    Args:
        folder: the output folder.
        verb: the command that made it.
        settings: the resolved configuration.
        data: checksum of each input, by name.
        seed: of all randomness; None if there is none.
        device: such as `cpu` or the GPU's name.
        seconds: wall time.
        more: further facts about the run.
    """
    record = {
        "isoglot": __version__,
        "verb": verb,
        "settings": settings,
        "data": data,
        "seed": seed,
        "device": device,
        "seconds": round(seconds, 1),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _revision(),
        **more,
    }
    write_json(folder / RECORD, record)


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the record of a complete output folder; None if the run did not finish."""
    path = folder / RECORD
    if not path.is_file():
        return None
    record = read_json(path)
    return record if isinstance(record, dict) else None


def require_same(path: Path, saved: dict[str, Any], facts: dict[str, Any]) -> None:
    """Reject resuming a run with other settings.

    Raises:
        InputError: listing every setting that differs, with both values.
    """
    different = [
        f"{key} ({_said(saved.get(key))} then, {_said(facts.get(key))} now)"
        for key in sorted({*saved, *facts})
        if saved.get(key) != facts.get(key)
    ]
    if different:
        raise InputError(
            f"{path}: made with other settings: {', '.join(different)}; give the same, or `overwrite` to start again"
        )


def _said(value: Any) -> str:
    """Return a value for a message; a checksum is shortened."""
    checksum = isinstance(value, str) and re.match(r"[0-9a-f]{32}", value)
    return f"checksum {value[:8]}" if checksum else repr(value)


def device_name(device: str | None) -> str:
    """Return `cpu (2 threads)`, or the GPU's name; None means torch's default device."""
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"{device} ({torch.get_num_threads()} threads)"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Return the commit of the git repository in the working directory, if any."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
