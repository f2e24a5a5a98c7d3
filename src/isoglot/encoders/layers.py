"""BERT's layers over texts that stand end to end, straight from their weights: no padding, few passes over memory.

Architecture: Devlin and others 2019 (arXiv 1810.04805); RoBERTa, XLM-R and CamemBERT have the same layers. Queries,
keys and values come from one product, so that one look-up brings a batch into the padded blocks of attention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from isoglot.encoders.attention import Attention, blocks
from isoglot.encoders.products import Linear, Product, in_full, in_half

Activation = Callable[[Tensor], Tensor]
Making = Callable[[Linear], Product]

_LEAST = 16  # rows of a product; of more sizes, each of which is kept, a query alone gains a twentieth


NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
PRODUCTS = (
    *(_SEEN := tuple(f"attention.self.{part}" for part in ("query", "key", "value"))),
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


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


def round_size(tokens: int) -> int:
    """The rows, from 1, that a product is given for so many tokens: one of eight sizes between two powers of two.

    >>> [round_size(tokens) for tokens in (1, 18, 130, 257, 4000)]
    [16, 32, 144, 288, 4096]
    """
    step = max(_LEAST, 1 << max(0, tokens.bit_length() - 4))
    return -(-tokens // step) * step


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
        half: compute in bfloat16, with sums in float32, on copies of the weights; else in their own precision.
        product: makes the linear layers; as `half` says when None.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], shape: Shape, *, half: bool, product: Making | None = None
    ) -> None:
        self._heads, self._half = shape.heads, half
        self._dtype = torch.bfloat16 if half else weights["layer.0.output.dense.weight"].dtype
        product = product or (in_half if half else in_full)
        self._layers = [_Layer(weights, f"layer.{number}", shape, half, product) for number in range(shape.layers)]

    def __call__(self, hidden: Tensor, lengths: NDArray[np.int64]) -> Tensor:
        """Hidden states (tokens, d) of texts, the longest first, to those after the last layer.

        Args:
            hidden: embeddings of all texts, end to end.
            lengths: (texts,) in descending order.
        """
        found, places = blocks(lengths, self._dtype)
        attention = Attention(found, self._heads, self._half)
        tokens = len(hidden)
        # Rows of zeros after the last text: a product of another size is made ready first, and kept, by oneDNN.
        hidden = functional.pad(hidden.to(self._dtype), (0, 0, 0, round_size(tokens) - tokens))
        room = self._layers[0].room(hidden, len(places))
        room.mixed[tokens:] = 0
        for layer in self._layers:
            hidden = layer(hidden, places, attention, room)
        return hidden[:tokens]


class _Layer:
    def __init__(self, weights: Mapping[str, Tensor], name: str, shape: Shape, half: bool, product: Making) -> None:
        def made(*parts: str, gelu: bool = False) -> Product:
            return product(Linear(f"{name}.{parts[0]}", [_pair(weights, f"{name}.{part}") for part in parts], gelu))

        self._epsilon, self._activation = shape.epsilon, shape.activation
        self._seen, self._mixed = made(*_SEEN), made("attention.output.dense")
        self._wide = made("intermediate.dense", gelu=shape.activation is None)
        self._narrow = made("output.dense")
        norms = (_pair(weights, f"{name}.{part}") for part in NORMS)
        # In float32 beside values in bfloat16: these are rounded once, at the end.
        self._norms = [(weight.float(), bias.float()) if half else (weight, bias) for weight, bias in norms]

    def room(self, hidden: Tensor, places: int) -> _Room:
        """Room for hidden states like these, and so many places in all blocks; layers of an encoder may share it."""
        rows, width = hidden.shape
        seen = self._seen.width
        sizes = ((rows, seen), (places, seen), (rows, width), (rows, self._wide.width), (rows, width))
        return _Room(*(hidden.new_empty(size) for size in sizes))

    def __call__(self, hidden: Tensor, places: Tensor, attention: Attention, room: _Room) -> Tensor:
        padded = torch.index_select(self._seen(hidden, room.seen), 0, places, out=room.padded)
        attention(padded, room.mixed)
        hidden = self._normalised(self._mixed(room.mixed, room.summed, hidden), 0)
        wide = self._wide(hidden, room.wide)
        if self._activation is not None:
            wide = self._activation(wide)
        return self._normalised(self._narrow(wide, room.summed, hidden), 1)

    def _normalised(self, hidden: Tensor, number: int) -> Tensor:
        return functional.layer_norm(hidden, hidden.shape[-1:], *self._norms[number], self._epsilon)


def _pair(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"].detach(), weights[f"{name}.bias"].detach()
