"""Dropout with cheap masks for CPUs, where torch draws one number at a time, which takes a sixth of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 1 << 16


class MaskDropout(nn.Dropout):
    """`nn.Dropout` with masks from `keep_mask`."""

    def forward(self, values: Tensor) -> Tensor:
        """Apply dropout in training mode."""
        return drop(values, self.p) if self.training and self.p > 0 else values


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return (values * keep).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return (gradients[0] * keep).mul_(ctx.scale), None, None


def drop(values: Tensor, share: float) -> Tensor:
    """Set a share of the values to zero and scale up the others to keep the mean."""
    cut = round(share * _LEVELS)
    scale = _LEVELS / max(1, _LEVELS - cut)
    dropped: Tensor = _Drop.apply(values, keep_mask(values.shape, cut), scale)  # type: ignore[no-untyped-call]
    return dropped


def keep_mask(shape: torch.Size, cut: int) -> Tensor:
    """Return a random mask on the CPU that is False with probability cut / 65536.

    One number from torch's generator seeds a faster one (SFC64), so masks are repeated whenever torch's random state is
    restored: in GradCache's second pass and in a resumed run.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    count = shape.numel()
    words = np.random.Generator(np.random.SFC64(seed)).integers(
        0, np.iinfo(np.uint64).max, size=-(-count // 4), dtype=np.uint64, endpoint=True
    )
    return torch.from_numpy(words.view(np.uint16)[:count] >= cut).view(shape)
