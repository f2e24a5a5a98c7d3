"""BERT layers over concatenated texts, computed directly from their weights: no padding, few passes over memory.

Architecture: Devlin and others 2019 (arXiv 1810.04805); RoBERTa, XLM-R and CamemBERT have the same layers. Queries,
keys and values come from one product, so that a single gather moves a batch into the padded blocks of attention.
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

_LEAST = 16  # rows of a product; a finer grid means more cached kernels, and gains a twentieth for a single query


NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
PRODUCTS = (
    *(_SEEN := tuple(f"attention.self.{part}" for part in ("query", "key", "value"))),
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


@dataclass(frozen=True)
class Shape:
    """What the weights do not determine.

    Attributes:
        layers: their number.
        heads: per layer.
        epsilon: of the normalisation.
        activation: between the two feed-forward products; the exact GELU when None.
    """

    layers: int
    heads: int
    epsilon: float
    activation: Activation | None = None


def round_size(tokens: int) -> int:
    """Return the number of rows that a product gets for so many tokens: one of eight sizes per power of two.

    >>> [round_size(tokens) for tokens in (1, 18, 130, 257, 4000)]
    [16, 32, 144, 288, 4096]
    """
    step = max(_LEAST, 1 << max(0, tokens.bit_length() - 4))
    return -(-tokens // step) * step


class _Room(NamedTuple):
    """Buffers for a layer's results, reused by the next one, since fresh memory costs more than computing in it.

    Attributes:
        seen: queries, keys and values (tokens, 3 d).
        padded: the same in attention's blocks (places, 3 d).
        mixed: output of attention (tokens, d), zeros after the last text.
        wide: between the two feed-forward products (tokens, intermediate size).
        summed: input of the normalisation (tokens, d).
    """

    seen: Tensor
    padded: Tensor
    mixed: Tensor
    wide: Tensor
    summed: Tensor


class Layers:
    """An encoder's layers, for inference on a CPU. Threads may share them.

    Args:
        weights: by transformers' names, such as `layer.0.attention.self.query.weight`.
        shape: of the encoder.
        half: compute in bfloat16, with sums in float32, on copies of the weights; else in their own precision.
        product: makes the linear layers; chosen by `half` when None.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], shape: Shape, *, half: bool, product: Making | None = None
    ) -> None:
        self._heads, self._half = shape.heads, half
        self._dtype = torch.bfloat16 if half else weights["layer.0.output.dense.weight"].dtype
        product = product or (in_half if half else in_full)
        self._layers = [_Layer(weights, f"layer.{number}", shape, half, product) for number in range(shape.layers)]

    def __call__(self, hidden: Tensor, lengths: NDArray[np.int64]) -> Tensor:
        """Return the last layer's output (tokens, d) for texts sorted longest first.

        Args:
            hidden: embeddings of all texts, concatenated.
            lengths: (texts,) in descending order.
        """
        found, places = blocks(lengths, self._dtype)
        attention = Attention(found, self._heads, self._half)
        tokens = len(hidden)
        # Pad with zero rows to a rounded size: oneDNN prepares, and caches, a kernel for every new size.
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
        # In float32 even if values are in bfloat16, so that these are rounded only once, at the end.
        self._norms = [(weight.float(), bias.float()) if half else (weight, bias) for weight, bias in norms]

    def room(self, hidden: Tensor, places: int) -> _Room:
        """Return buffers for hidden states of this shape and `places` positions; an encoder's layers may share them."""
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
