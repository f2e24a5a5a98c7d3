"""A transformers encoder that trains faster on a CPU: cheap dropout masks, and no work on padding.

The texts of a batch stand end to end, so that every layer but attention sees real tokens only, and many at a time.
Attention alone puts texts of similar length together in small padded blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    BertModel,
    CamembertModel,
    RobertaModel,
    XLMRobertaModel,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.modeling_outputs import BaseModelOutputWithPooling

from isoglot.training.speed.dropout import MaskDropout, drop

_NAME = "isoglot"
_BLOCK = 8  # texts of a padded block
# Absolute positions that the caller may give, and nothing else that depends on where a token stands.
_PACKABLE: dict[type, Callable[[Any], int]] = {
    BertModel: lambda config: 0,
    CamembertModel: lambda config: config.pad_token_id + 1,
    RobertaModel: lambda config: config.pad_token_id + 1,
    XLMRobertaModel: lambda config: config.pad_token_id + 1,
}


class _Block(NamedTuple):
    """Some texts of a packed batch: where their tokens are, (texts * width,); which places are real ones, and which."""

    tokens: Tensor
    real: Tensor
    mask: Tensor | None
    shape: tuple[int, int]


_layout: ContextVar[list[_Block] | None] = ContextVar("layout", default=None)


@contextmanager
def lean(backbone: Any) -> Iterator[None]:
    """Train a transformers encoder on the CPU this way for a while.

    Dropout layers change for every encoder; attention where it is looked up in transformers' registry; the padding goes
    where the architecture is known to allow it (BERT, RoBERTa, XLM-R and their like).
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
    packed = can_pack(backbone)
    if implementation == "sdpa":
        AttentionInterface.register(_NAME, attention)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        backbone.set_attn_implementation(_NAME)
    if packed:
        backbone.forward = _without_padding(backbone, backbone.forward)
    try:
        yield
    finally:
        if packed:
            del backbone.forward
        for parent, name, child in plain:
            setattr(parent, name, child.train(backbone.training))
        if implementation == "sdpa":
            backbone.set_attn_implementation(implementation)


def can_pack(backbone: Any) -> bool:
    """Whether `lean` takes the padding away."""
    if type(backbone) not in _PACKABLE:
        return False
    config = backbone.config
    absolute = getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
    return absolute and not config.is_decoder and config._attn_implementation in ("sdpa", _NAME)


def _without_padding(backbone: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    offset = _PACKABLE[type(backbone)](backbone.config)

    def run(input_ids: Tensor | None = None, attention_mask: Tensor | None = None, **more: Any) -> Any:
        others = set(more) - {"return_dict", "token_type_ids"}
        if input_ids is None or attention_mask is None or others or not _right_padded(attention_mask):
            return forward(input_ids=input_ids, attention_mask=attention_mask, **more)
        types = more.get("token_type_ids")
        lengths = attention_mask.sum(dim=1).clamp(min=1)
        order = torch.argsort(lengths, descending=True, stable=True)
        lengths = lengths[order]
        rows = torch.repeat_interleave(order, lengths)
        starts = torch.cumsum(lengths, 0) - lengths
        columns = torch.arange(len(rows)) - torch.repeat_interleave(starts, lengths)
        token = _layout.set(_blocks(starts, lengths))
        try:
            found = forward(
                input_ids=input_ids[rows, columns][None],
                # Of four dimensions it is handed through; attention goes by the layout.
                attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool),
                position_ids=columns[None] + offset,
                token_type_ids=None if types is None else types[rows, columns][None],
            )
        finally:
            _layout.reset(token)
        width = input_ids.shape[1]
        places = rows * width + columns
        hidden = _Spread.apply(found.last_hidden_state[0], places, len(order) * width)  # type: ignore[no-untyped-call]
        hidden = hidden.view(len(order), width, -1)
        pooler = getattr(backbone, "pooler", None)
        return BaseModelOutputWithPooling(
            last_hidden_state=hidden, pooler_output=None if pooler is None else pooler(hidden)
        )

    return run


def _right_padded(mask: Tensor) -> bool:
    return mask.ndim == 2 and bool((mask[:, :-1] >= mask[:, 1:]).all())


def _blocks(starts: Tensor, lengths: Tensor) -> list[_Block]:
    blocks = []
    for first in range(0, len(lengths), _BLOCK):
        start, own = starts[first : first + _BLOCK, None], lengths[first : first + _BLOCK, None]
        column = torch.arange(int(own[0]))
        real = column < own
        whole = bool(real.all())
        blocks.append(
            _Block(
                (start + torch.minimum(column, own - 1)).reshape(-1),
                real.reshape(-1).nonzero()[:, 0],
                None if whole else real[:, None, None, :],
                (len(own), len(column)),
            )
        )
    return blocks


class _Pad(torch.autograd.Function):
    """Rows of tokens (T, d) into padded blocks; gradients come back from the real places, which stand in order."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, blocks: list[_Block]) -> tuple[Tensor, ...]:
        ctx.blocks = blocks
        return tuple(values.index_select(0, block.tokens) for block in blocks)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pairs = zip(gradients, ctx.blocks, strict=True)
        return torch.cat([gradient.index_select(0, block.real) for gradient, block in pairs]), None


class _Spread(torch.autograd.Function):
    """Rows (T, d) to the given places of (size, d), zeros elsewhere."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return values.new_zeros(size, values.shape[1]).index_copy_(0, places, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return gradients[0].index_select(0, places), None, None


class _Gather(torch.autograd.Function):
    """Different rows of (size, d)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.rows = len(values)
        return values.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        return gradients[0].new_zeros(ctx.rows, gradients[0].shape[1]).index_copy_(0, places, gradients[0]), None


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
    """Attention for transformers' registry: within the texts of a packed batch, else as `sdpa` does it.

    Args:
        module: the attention layer.
        query: (batch, heads, tokens, width); of a packed batch (1, heads, all tokens, width).
        key: as `query`.
        value: as `query`.
        attention_mask: (batch, 1, tokens, tokens), True where a token is seen; all are when None.
        dropout: share of the attention weights.
        scaling: of the scores; 1 / sqrt(width) when None.
        more: what the registry passes besides.

    Returns:
        (batch, tokens, heads, width), and no weights.
    """
    blocks = _layout.get()
    if blocks is None:
        return _attend(module, query, key, value, attention_mask, dropout, scaling, **more)
    heads, width = query.shape[1], query.shape[3]
    flat = (part[0].transpose(0, 1).reshape(-1, heads * width) for part in (query, key, value))
    padded = (_Pad.apply(part, blocks) for part in flat)  # type: ignore[no-untyped-call]
    parts = []
    for block, *three in zip(blocks, *padded, strict=True):
        q, k, v = (part.view(*block.shape, heads, width).transpose(1, 2) for part in three)
        mixed, _ = _attend(module, q, k, v, block.mask, dropout, scaling, **more)
        parts.append(_Gather.apply(mixed.reshape(-1, heads * width), block.real))  # type: ignore[no-untyped-call]
    return torch.cat(parts).view(1, -1, heads, width), None


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float,
    scaling: float | None,
    **more: Any,
) -> tuple[Tensor, None]:
    """What `scaled_dot_product_attention` computes on a CPU where it drops weights; else that function itself."""
    # Without a mask a causal layer still hides what comes later.
    hidden = attention_mask is None and getattr(module, "is_causal", False)
    known = not hidden and (attention_mask is None or attention_mask.dtype == torch.bool)
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
