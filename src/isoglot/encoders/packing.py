"""Concatenate texts instead of padding them: which encoders support it, where the texts are, attention within each.

Every layer except attention then processes real tokens only, and many at a time. Attention groups texts of similar
length in small padded blocks. Training uses this; encoding has its own layers (`encoders/layers.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import BertModel, CamembertModel, RobertaModel, XLMRobertaModel

from isoglot.encoders.attention import whole_registers

Attend = Callable[..., tuple[Tensor, None]]
"""(module, query, key, value, mask, **more) to (batch, tokens, heads, width), and None for the weights."""

_BLOCK = 8  # texts per padded block
# Encoders with absolute positions that the caller can pass, and nothing else that depends on a token's position.
_PACKABLE: dict[type, Callable[[Any], int]] = {
    BertModel: lambda config: 0,
    CamembertModel: lambda config: config.pad_token_id + 1,
    RobertaModel: lambda config: config.pad_token_id + 1,
    XLMRobertaModel: lambda config: config.pad_token_id + 1,
}


class Block(NamedTuple):
    """Some texts of a packed batch: token at each position (texts * width,), real positions, mask, padded shape."""

    tokens: Tensor
    real: Tensor
    mask: Tensor | None
    shape: tuple[int, int]


_layout: ContextVar[list[Block] | None] = ContextVar("layout", default=None)


def can_pack(backbone: Any) -> bool:
    """Return whether an encoder supports packing: BERT, RoBERTa, XLM-R and CamemBERT with torch's attention."""
    if type(backbone) not in _PACKABLE:
        return False
    config = backbone.config
    absolute = getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
    return absolute and not config.is_decoder and config._attn_implementation in ("sdpa", "isoglot")


def first_position(backbone: Any) -> int:
    """Return the position id of a text's first token."""
    return _PACKABLE[type(backbone)](backbone.config)


def positions(backbone: Any) -> int | None:
    """Return the number of tokens that an encoder has positions for; None if unknown."""
    if type(backbone) not in _PACKABLE:
        return None
    return int(backbone.config.max_position_embeddings) - first_position(backbone)


@contextmanager
def packed(starts: Tensor, lengths: Tensor) -> Iterator[None]:
    """Within the block, tell this thread's attention where the texts of a packed batch are.

    Args:
        starts: (texts,) index of each text's first token.
        lengths: (texts,) number of tokens, in descending order.
    """
    token = _layout.set(_blocks(starts, lengths))
    try:
        yield
    finally:
        _layout.reset(token)


def _blocks(starts: Tensor, lengths: Tensor) -> list[Block]:
    blocks = []
    for first in range(0, len(lengths), _BLOCK):
        start, own = starts[first : first + _BLOCK, None], lengths[first : first + _BLOCK, None]
        column = torch.arange(whole_registers(int(own[0])))
        real = column < own
        whole = bool(real.all())
        blocks.append(
            Block(
                (start + torch.minimum(column, own - 1)).reshape(-1),
                real.reshape(-1).nonzero()[:, 0],
                None if whole else real[:, None, None, :],
                (len(own), len(column)),
            )
        )
    return blocks


def attend_within(
    attend: Attend, module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """Compute attention within the texts of a packed batch; for any other batch, call `attend`.

    Args:
        attend: attention of padded texts.
        module: the attention layer.
        query: (batch, heads, tokens, width); for a packed batch (1, heads, all tokens, width).
        key: as `query`.
        value: as `query`.
        mask: (batch, 1, tokens, tokens), True where a token may be attended to; everywhere when None.
        more: passed on.

    Returns:
        (batch, tokens, heads, width), and None for the weights.
    """
    blocks = _layout.get()
    if blocks is None:
        return attend(module, query, key, value, mask, **more)
    heads, width = query.shape[1], query.shape[3]
    flat = (part[0].transpose(0, 1).reshape(-1, heads * width) for part in (query, key, value))
    padded = (_Pad.apply(part, blocks) for part in flat)  # type: ignore[no-untyped-call]
    parts = []
    for block, *three in zip(blocks, *padded, strict=True):
        q, k, v = (part.view(*block.shape, heads, width).transpose(1, 2) for part in three)
        mixed, _ = attend(module, q, k, v, block.mask, **more)
        parts.append(_Gather.apply(mixed.reshape(-1, heads * width), block.real))  # type: ignore[no-untyped-call]
    return torch.cat(parts).view(1, -1, heads, width), None


class _Pad(torch.autograd.Function):
    """Copy token rows (T, d) into padded blocks; gradients are taken from the real positions, which are in order."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, blocks: list[Block]) -> tuple[Tensor, ...]:
        ctx.blocks = blocks
        return tuple(values.index_select(0, block.tokens) for block in blocks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pairs = zip(gradients, ctx.blocks, strict=True)
        return torch.cat([gradient.index_select(0, block.real) for gradient, block in pairs]), None


class _Gather(torch.autograd.Function):
    """Select distinct rows of (size, d)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(values)
        return values.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return gradients[0].new_zeros(ctx.rows, gradients[0].shape[1]).index_copy_(0, places, gradients[0]), None
