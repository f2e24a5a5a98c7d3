"""BERT's layers over texts that stand end to end, straight from their weights: no padding, few passes over memory.

Architecture: Devlin and others 2019 (arXiv 1810.04805); RoBERTa, XLM-R and CamemBERT have the same layers. Queries,
keys and values come from one product, so that one look-up brings a batch into the padded blocks of attention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isoglot.encoders.devices import products_of_bf16

Activation = Callable[[Tensor], Tensor]

_MULTIPLE = 16  # rows of scores whose length fills no vector register take twice as long
_PLACES = 1024  # of a block; larger ones gain nothing
_HINT = 1024  # tokens of a product that oneDNN chooses a layout for; others may have it as well


NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
PRODUCTS = (
    *(_SEEN := tuple(f"attention.self.{part}" for part in ("query", "key", "value"))),
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class Product(Protocol):
    """Linear layers side by side."""

    width: int
    """d of the outputs."""

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Their outputs (tokens, d), with `more` added; they may be written into `out`, of that shape."""


@dataclass(frozen=True)
class Shape:
    """What the weights do not say.

    Attributes:
        layers: how many.
        heads: of each layer.
        epsilon: of the normalisation.
        activation: between the two wide products; the exact GELU when None.
    """

    layers: int
    heads: int
    epsilon: float
    activation: Activation | None = None


def whole_registers(length: int) -> int:
    """The length, in tokens, that texts are padded to for attention.

    >>> whole_registers(1), whole_registers(16), whole_registers(17)
    (16, 16, 32)
    """
    return -(-length // _MULTIPLE) * _MULTIPLE


def round_size(tokens: int) -> int:
    """The rows, from 1, that a product is given for so many tokens: one of eight sizes between two powers of two.

    >>> [round_size(tokens) for tokens in (1, 16, 130, 257, 4000)]
    [16, 16, 144, 288, 4096]
    """
    step = max(_MULTIPLE, 1 << max(0, tokens.bit_length() - 4))
    return -(-tokens // step) * step


class _Block(NamedTuple):
    """Texts of similar length: their places among all padded ones, and which of these hold a token."""

    places: slice
    shape: tuple[int, int]
    real: Tensor
    rows: slice
    mask: Tensor | None


class _Room(NamedTuple):
    """Where a layer writes, for the next one to write over: memory from the system costs more than what is done to it.

    Attributes:
        seen: queries, keys and values (tokens, 3 d).
        padded: the same in the blocks of attention (places, 3 d).
        mixed: what attention gives (tokens, d), zeros after the last text.
        wide: between the two wide products (tokens, intermediate size).
        summed: what is normalised (tokens, d).
    """

    seen: Tensor
    padded: Tensor
    mixed: Tensor
    wide: Tensor
    summed: Tensor


class Layers:
    """The layers of an encoder, for inference on a CPU. Threads may share them.

    Args:
        weights: by transformers' names, from `layer.0.attention.self.query.weight` on.
        shape: of the encoder.
        half: compute in bfloat16, with sums in float32, on copies of the weights; else in their own precision,
            sharing them.
    """

    def __init__(self, weights: Mapping[str, Tensor], shape: Shape, *, half: bool) -> None:
        self._dtype = torch.bfloat16 if half else weights["layer.0.output.dense.weight"].dtype
        self._layers = [_Layer(weights, f"layer.{number}", shape, half) for number in range(shape.layers)]

    def __call__(self, hidden: Tensor, lengths: NDArray[np.int64]) -> Tensor:
        """Hidden states (tokens, d) of texts, the longest first, to those after the last layer.

        Args:
            hidden: embeddings of all texts, end to end.
            lengths: (texts,) in descending order.
        """
        blocks, places = _blocks(lengths, self._dtype)
        tokens = len(hidden)
        # Rows of zeros after the last text: a product of another size is made ready first, and kept, by oneDNN.
        hidden = functional.pad(hidden.to(self._dtype), (0, 0, 0, round_size(tokens) - tokens))
        room = self._layers[0].room(hidden, len(places))
        room.mixed[tokens:] = 0
        for layer in self._layers:
            hidden = layer(hidden, places, blocks, room)
        return hidden[:tokens]


class _Layer:
    def __init__(self, weights: Mapping[str, Tensor], name: str, shape: Shape, half: bool) -> None:
        def product(*parts: str) -> Product:
            return _product([_pair(weights, f"{name}.{part}") for part in parts], half, gelu=False)

        self._heads, self._epsilon = shape.heads, shape.epsilon
        self._seen = product(*_SEEN)
        self._mixed, self._narrow = product("attention.output.dense"), product("output.dense")
        self._wide = _product([_pair(weights, f"{name}.intermediate.dense")], half, gelu=shape.activation is None)
        self._activation = shape.activation
        norms = (_pair(weights, f"{name}.{part}") for part in NORMS)
        # In float32 beside values in bfloat16: these are rounded once, at the end.
        self._norms = [(weight.float(), bias.float()) if half else (weight, bias) for weight, bias in norms]

    def room(self, hidden: Tensor, places: int) -> _Room:
        """Room for hidden states like these, and so many places in all blocks; layers of an encoder may share it."""
        rows, width = hidden.shape
        seen = self._seen.width
        sizes = ((rows, seen), (places, seen), (rows, width), (rows, self._wide.width), (rows, width))
        return _Room(*(hidden.new_empty(size) for size in sizes))

    def __call__(self, hidden: Tensor, places: Tensor, blocks: list[_Block], room: _Room) -> Tensor:
        padded = torch.index_select(self._seen(hidden, room.seen), 0, places, out=room.padded)
        for block in blocks:
            texts, longest = block.shape
            query, key, value = padded[block.places].view(texts, longest, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            found = functional.scaled_dot_product_attention(query, key, value, attn_mask=block.mask)
            flat = found.transpose(1, 2).reshape(texts * longest, -1)
            torch.index_select(flat, 0, block.real, out=room.mixed[block.rows])
        hidden = self._normalised(self._mixed(room.mixed, room.summed, hidden), 0)
        wide = self._wide(hidden, room.wide)
        if self._activation is not None:
            wide = self._activation(wide)
        return self._normalised(self._narrow(wide, room.summed, hidden), 1)

    def _normalised(self, hidden: Tensor, number: int) -> Tensor:
        return functional.layer_norm(hidden, hidden.shape[-1:], *self._norms[number], self._epsilon)


def _pair(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"].detach(), weights[f"{name}.bias"].detach()


def _product(pairs: list[tuple[Tensor, Tensor]], half: bool, *, gelu: bool) -> Product:
    """Linear layers side by side, with the exact GELU after them where wanted."""
    if half:
        weight, bias = (torch.cat(parts).bfloat16() for parts in zip(*pairs, strict=True))
        if can_prepack():
            return _Prepacked(weight, bias, gelu)
        pairs = [(weight, bias)]
    return _Plain(pairs, gelu)


class _Prepacked:
    """In bfloat16, by weights that lie as oneDNN reads them."""

    def __init__(self, weight: Tensor, bias: Tensor, gelu: bool) -> None:
        self.width = len(bias)
        self._packed, self._bias = torch.ops.mkldnn._reorder_linear_weight(weight, _HINT), bias
        self._after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        products = torch.ops.mkldnn._linear_pointwise
        # Added before the sums are rounded, and in the same pass over memory.
        found: Tensor = (
            products(values, self._packed, self._bias, *self._after)
            if more is None
            else products.binary(values, more, self._packed, self._bias, "add")
        )
        return found


class _Plain:
    """By weights as they are, which may be the model's own."""

    def __init__(self, pairs: list[tuple[Tensor, Tensor]], gelu: bool) -> None:
        self.width = sum(len(bias) for _, bias in pairs)
        self._pairs, self._gelu = pairs, gelu

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        parts = torch.split(out, [len(bias) for _, bias in self._pairs], dim=1)
        for part, (weight, bias) in zip(parts, self._pairs, strict=True):
            torch.addmm(bias, values, weight.T, out=part)
        if self._gelu:
            torch.ops.aten.gelu_(out)
        return out if more is None else out.add_(more)


def can_prepack() -> bool:
    """Whether there are products in bfloat16 whose weights lie as oneDNN reads them; a plain one reorders them anew."""
    operations = ("_reorder_linear_weight", "_linear_pointwise")
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(there) and products_of_bf16() and all(hasattr(torch.ops.mkldnn, name) for name in operations)


def _blocks(lengths: NDArray[np.int64], dtype: torch.dtype) -> tuple[list[_Block], Tensor]:
    """Texts by padded length in blocks, and the token that stands at every place of all blocks."""
    starts = np.cumsum(lengths) - lengths
    widths = np.array([whole_registers(int(length)) for length in lengths])
    blocks: list[_Block] = []
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
        blocks.append(_Block(slice(end, end + real.size), (last - first, width), here, rows, mask))
        end += real.size
        first = last
    return blocks, torch.from_numpy(np.concatenate(places))
