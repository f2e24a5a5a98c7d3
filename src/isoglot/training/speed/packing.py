"""Faster training of a transformers encoder on a CPU: cheap dropout masks, and no computation on padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.modeling_outputs import BaseModelOutputWithPooling

from isoglot.encoders.packing import attend_within, can_pack, first_position, packed
from isoglot.training.speed.dropout import MaskDropout, drop

_NAME = "isoglot"


@contextmanager
def lean(backbone: Any) -> Iterator[None]:
    """Within the block, make a transformers encoder train faster on the CPU.

    Dropout layers are replaced in every encoder; attention if it is SDPA from transformers' registry; padding is left
    out if the architecture is known to allow that (see `can_pack`: BERT, RoBERTa, XLM-R, CamemBERT).
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
    unpadded = can_pack(backbone)
    if implementation == "sdpa":
        AttentionInterface.register(_NAME, attention)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        backbone.set_attn_implementation(_NAME)
    if unpadded:
        backbone.forward = _without_padding(backbone, backbone.forward)
    try:
        yield
    finally:
        if unpadded:
            del backbone.forward
        for parent, name, child in plain:
            setattr(parent, name, child.train(backbone.training))
        if implementation == "sdpa":
            backbone.set_attn_implementation(implementation)


def _without_padding(backbone: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
    offset = first_position(backbone)

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
        with packed(starts, lengths):
            found = forward(
                input_ids=input_ids[rows, columns][None],
                # transformers passes a 4-D mask through unchanged; attention uses the packed layout instead.
                attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool),
                position_ids=columns[None] + offset,
                token_type_ids=None if types is None else types[rows, columns][None],
            )
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


class _Spread(torch.autograd.Function):
    """Scatters rows (T, d) to the given places of a (size, d) tensor that is zero elsewhere."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return values.new_zeros(size, values.shape[1]).index_copy_(0, places, values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return gradients[0].index_select(0, places), None, None


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
    """Attention for transformers' registry: within each text of a packed batch, otherwise the same as `sdpa`.

    Args:
        module: the attention layer.
        query: (batch, heads, tokens, width); for a packed batch (1, heads, all tokens, width).
        key: as `query`.
        value: as `query`.
        attention_mask: (batch, 1, tokens, tokens), True where a token is attended to; all are when None.
        dropout: share of the attention weights to drop.
        scaling: factor of the scores; 1 / sqrt(width) when None.
        more: other arguments from the registry.

    Returns:
        The output (batch, tokens, heads, width), and None for the attention weights.
    """
    return attend_within(_attend, module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float,
    scaling: float | None,
    **more: Any,
) -> tuple[Tensor, None]:
    """Compute SDPA with dropout step by step, using cheap masks; without dropout call `sdpa` itself."""
    # Without a mask, a causal layer still hides later tokens.
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
