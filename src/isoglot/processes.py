"""Which of several cooperating processes this is, as `torchrun` and `accelerate launch` say it."""

from __future__ import annotations

import os


def rank() -> int:
    """Number of this process among all, 0 where it is alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
