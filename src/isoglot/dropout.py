"""Dropout with masks that cost little on a CPU, where torch draws them one number at a time, a sixth of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "isoglot"
_LEVELS = 1 << 16


class MaskDropout(nn.Dropout):
    """`nn.Dropout` with masks from `keep_mask`."""

    def forward(self, values: Tensor) -> Tensor:
        """Drop, in training."""
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
    """Set a share of the values to zero and scale the others up to keep the mean."""
    cut = round(share * _LEVELS)
    scale = _LEVELS / max(1, _LEVELS - cut)
    dropped: Tensor = _Drop.apply(values, keep_mask(values.shape, cut), scale)  # type: ignore[no-untyped-call]
    return dropped


def keep_mask(shape: torch.Size, cut: int) -> Tensor:
    """A random mask that is False with probability cut / 65536, on the CPU.

    One number from torch's generator seeds a faster one (SFC64), so masks repeat wherever torch's random state is
    restored: in GradCache's second pass and in a resumed run.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    count = shape.numel()
    words = np.random.Generator(np.random.SFC64(seed)).integers(
        0, np.iinfo(np.uint64).max, size=-(-count // 4), dtype=np.uint64, endpoint=True
    )
    return torch.from_numpy(words.view(np.uint16)[:count] >= cut).view(shape)


@contextmanager
def cheap_dropout(backbone: Any) -> Iterator[None]:
    """Let a transformers encoder on the CPU draw its dropout this way: in its layers, and in its attention.

    Attention weights keep torch's dropout where the encoder does not take its attention from transformers' registry.
    """
    plain = [
        (parent, name, child)
        for parent in backbone.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Dropout
    ]
    implementation = getattr(getattr(backbone, "config", None), "_attn_implementation", None)
    for parent, name, child in plain:
        setattr(parent, name, MaskDropout(child.p).train(child.training))
    if implementation == "sdpa":
        AttentionInterface.register(_NAME, attention)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        backbone.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        for parent, name, child in plain:
            setattr(parent, name, child.train(backbone.training))
        if implementation == "sdpa":
            backbone.set_attn_implementation(implementation)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """What `scaled_dot_product_attention` computes on a CPU where it drops weights; else that function itself.

    Args:
        module: the attention layer.
        query: (batch, heads, tokens, width).
        key: as `query`.
        value: as `query`.
        attention_mask: (batch, 1, tokens, tokens), True where a token is seen; all are when None.
        dropout: share of the attention weights.
        scaling: of the scores; 1 / sqrt(width) when None.
        more: what the registry passes besides.

    Returns:
        (batch, tokens, heads, width), and no weights.
    """
    known = attention_mask is None or attention_mask.dtype == torch.bool
    if not dropout or not known or query.shape != key.shape or more.get("position_bias") is not None:
        result: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
        return result
    with torch.autocast("cpu", enabled=False):
        scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.transpose(-1, -2)
        if attention_mask is not None:
            scores = scores.masked_fill(~attention_mask, -torch.inf)
        mixed = drop(scores.softmax(dim=-1), dropout) @ value
    return mixed.transpose(1, 2).contiguous(), None
