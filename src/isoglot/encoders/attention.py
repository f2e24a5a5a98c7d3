"""Attention over concatenated texts: in blocks of similar length, padded to whole vector registers.

Formula: Vaswani and others 2017 (arXiv 1706.03762), equation 1: softmax(Q K^T / sqrt(d)) V, for every head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_MULTIPLE = 16  # rows of scores that do not fill vector registers take twice as long
_PLACES = 1024  # positions per block; larger blocks are not faster


def whole_registers(length: int) -> int:
    """Return the length, in tokens, to which a text is padded for attention.

    >>> whole_registers(1), whole_registers(16), whole_registers(17)
    (16, 16, 32)
    """
    return -(-length // _MULTIPLE) * _MULTIPLE


class Block(NamedTuple):
    """Texts of similar length.

    Attributes:
        places: its slice of the padded positions of all blocks.
        shape: number of texts, and padded length of each.
        real: (tokens,) the block's positions that hold a token.
        rows: slice of its tokens among all tokens.
        mask: (texts, 1, 1, padded length): 0, and -inf at padding; None if there is no padding.
    """

    places: slice
    shape: tuple[int, int]
    real: Tensor
    rows: slice
    mask: Tensor | None


def blocks(lengths: NDArray[np.int64], dtype: torch.dtype) -> tuple[list[Block], Tensor]:
    """Group texts into blocks by padded length; also return the token at each position of all blocks.

    Args:
        lengths: (texts,) in descending order.
        dtype: of the masks.
    """
    starts = np.cumsum(lengths) - lengths
    widths = np.array([whole_registers(int(length)) for length in lengths])
    found: list[Block] = []
    places = []
    end = first = 0
    while first < len(lengths):
        width = int(widths[first])
        alike = int(np.searchsorted(-widths, -width, side="right"))
        last = min(alike, first + max(1, _PLACES // width))
        own = lengths[first:last, None]
        column = np.arange(width)
        real = column < own
        mask = None
        if not real.all():
            mask = torch.zeros(real.shape, dtype=dtype).masked_fill_(torch.from_numpy(~real), -torch.inf)
            mask = mask[:, None, None, :]
        places.append((starts[first:last, None] + np.minimum(column, own - 1)).reshape(-1))
        rows = slice(int(starts[first]), int(starts[last - 1] + lengths[last - 1]))
        here = torch.from_numpy(np.flatnonzero(real))
        found.append(Block(slice(end, end + real.size), (last - first, width), here, rows, mask))
        end += real.size
        first = last
    return found, torch.from_numpy(np.concatenate(places))


@dataclass
class Attention:
    """Attention of consecutive layers, over the same blocks.

    Args:
        blocks: from `blocks`.
        heads: of each layer.
        by_products: use batched matrix products, which in bfloat16 take half the time of torch's fused attention;
            otherwise use that.
    """

    blocks: list[Block]
    heads: int
    by_products: bool

    def __call__(self, padded: Tensor, out: Tensor) -> None:
        """Compute attention within each text.

        Args:
            padded: queries, keys and values (places, 3 d) of all blocks.
            out: (tokens, d), written.
        """
        attend = self._products if self.by_products else _in_one
        for block in self.blocks:
            texts, longest = block.shape
            parts = padded[block.places].view(texts, longest, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            flat = attend(parts, block.mask).transpose(1, 2).reshape(texts * longest, -1)
            torch.index_select(flat, 0, block.real, out=out[block.rows])

    def _products(self, parts: Tensor, mask: Tensor | None) -> Tensor:
        _, texts, heads, longest, width = parts.shape
        query, key, value = parts.reshape(3, texts * heads, longest, width)
        scores = query.new_empty(texts * heads, longest, longest)
        scale = width**-0.5
        if mask is None:
            torch.baddbmm(scores, query, key.transpose(1, 2), beta=0, alpha=scale, out=scores)
        else:
            over = mask.expand(texts, heads, 1, longest).reshape(texts * heads, 1, longest)
            torch.baddbmm(over, query, key.transpose(1, 2), alpha=scale, out=scores)
        # In float32, where the exponential is vectorised.
        exact = scores.float()
        scores.copy_(torch.softmax(exact, -1, out=exact))
        return torch.bmm(scores, value).view(texts, heads, longest, width)


def _in_one(parts: Tensor, mask: Tensor | None) -> Tensor:
    query, key, value = parts
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
