"""Checkpoints that are marked once they are complete.

A checkpoint is a folder. Its `complete.json` is written last: a folder without it is incomplete, is never read, and is
removed before the run continues. `complete.json` holds the size of each file, because a machine that crashes may lose
the last seconds of writes, in any order.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from isoglot.core.errors import InputError
from isoglot.core.files import atomic_write, put_on_disk, read_json, write_json
from isoglot.core.progress import progress_line
from isoglot.training.facts import require_same_facts

CHECKPOINTS = "checkpoints"  # subfolder of a run's output folder, until the run ends
COMPLETE = "complete.json"
WEIGHTS = "trainable.safetensors"


def save_trainable(model: torch.nn.Module, path: Path) -> None:
    """Write the trainable parameters, and nothing else, atomically."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.named_parameters() if value.requires_grad
    }
    with atomic_write(path) as temporary:
        save_file(tensors, temporary)


def load_trainable(model: torch.nn.Module, path: Path) -> None:
    """Load into a model the parameters that `save_trainable` wrote.

    Raises:
        InputError: the file holds other parameters than the model's trainable ones.
    """
    tensors = load_file(path)
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    wrong = sorted(
        name
        for name in {*tensors, *parameters}
        if name not in tensors or name not in parameters or tensors[name].shape != parameters[name].shape
    )
    if wrong:
        raise InputError(f"{path}: parameters differ from the model's, such as {wrong[0]}; give `overwrite`")
    with torch.no_grad():
        for name, value in tensors.items():
            parameters[name].copy_(value)


def mark_complete(checkpoint: Path, step: int, facts: dict[str, Any], **more: Any) -> None:
    """Mark a checkpoint as completely written."""
    written = (path for path in checkpoint.iterdir() if path.is_file() and path.name != COMPLETE)
    sizes = {path.name: path.stat().st_size for path in written if not path.name.startswith(".")}
    write_json(checkpoint / COMPLETE, {"step": step, "settings": facts, "bytes": sizes, **more})


def complete_checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints in a folder, oldest first."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}") if _is_whole(path.parent)]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _is_whole(checkpoint: Path) -> bool:
    """Whether the files have the recorded sizes; checkpoints of older versions record none and count as whole."""
    try:
        sizes = read_json(checkpoint / COMPLETE).get("bytes", {})
        return all((checkpoint / name).stat().st_size == size for name, size in sizes.items())
    except (InputError, OSError, AttributeError):
        return False


def remove_incomplete(folder: Path) -> None:
    """Remove incomplete checkpoints, and temporary files of interrupted writes."""
    whole = complete_checkpoints(folder)
    for path in folder.glob("checkpoint-*"):
        if path not in whole:
            if (path / COMPLETE).exists():
                progress_line(f"{path}: incomplete, perhaps after a crash of the machine; removed")
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def keep_newest(folder: Path, count: int) -> None:
    """Remove all but the `count` newest complete checkpoints, markers first, once the oldest one kept is on disk."""
    found = complete_checkpoints(folder)
    if len(found) <= count:
        return
    try:
        put_on_disk(found[-count].iterdir())
    except OSError:
        return  # keep the older ones
    for path in found[:-count]:
        (path / COMPLETE).unlink()
        shutil.rmtree(path, ignore_errors=True)


def last_checkpoint(folder: Path, facts: dict[str, Any]) -> Path | None:
    """Return the newest complete checkpoint, or None if there is none.

    Args:
        folder: folder of the checkpoints.
        facts: settings that determine the outcome; those of the checkpoint must be the same.

    Raises:
        InputError: the checkpoint belongs to a run with other settings.
    """
    found = complete_checkpoints(folder) if folder.is_dir() else []
    if not found:
        return None
    require_same_facts(found[-1], read_json(found[-1] / COMPLETE)["settings"], facts)
    return found[-1]


def seconds_until(checkpoint: Path | None) -> float:
    """Return the seconds that a run had taken when it wrote a checkpoint; 0 without a checkpoint."""
    return 0.0 if checkpoint is None else float(read_json(checkpoint / COMPLETE).get("seconds", 0.0))
