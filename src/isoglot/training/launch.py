"""Check how a run was launched: processes must not train separately in one folder or average gradients wrongly."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch
import transformers
from torch import distributed

from isoglot.core.errors import InputError
from isoglot.core.version import __version__


def require_known_launch() -> None:
    """Check the environment variables that launchers set.

    Raises:
        InputError: several processes were started without ranks, or training is sharded (FSDP, DeepSpeed).
    """
    if "ACCELERATE_USE_CPU" in os.environ and "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
        raise InputError(
            "several processes were started without a rank, so each would train alone in the same folder; "
            "start them with `torchrun --nnodes N --nproc-per-node P`"
        )
    for name in ("FSDP", "DEEPSPEED"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() in ("1", "true"):
            raise InputError(
                f"{name} shards weights, so gradients would be averaged wrongly here; start with torchrun, "
                "and give `grad_cache` or `lora.rank` if memory is short"
            )


def require_one_run(facts: dict[str, Any]) -> None:
    """Check that all processes are about to do the same, with the same versions of the libraries.

    Raises:
        InputError: they differ; the message gives the first difference, with both values.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return
    mine = {**facts, **_versions(), "world_size": distributed.get_world_size()}
    everyone: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyone, mine)
    for number, other in enumerate(everyone[1:], 1):
        for key in sorted({*everyone[0], *other}):
            here, there = everyone[0].get(key), other.get(key)
            if here != there:
                raise InputError(
                    f"process {number} has {key} {there!r}, process 0 has {here!r}; "
                    "give all the same command and an output folder that all can access"
                )


def _versions() -> dict[str, str]:
    """Return the versions of the software that determines batches, steps and checkpoints."""
    return {
        "isoglot": __version__,
        "Python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": transformers.__version__,
    }
