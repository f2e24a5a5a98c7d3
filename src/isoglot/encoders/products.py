"""Linear layers, computed by the library that is fastest on this processor."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from isoglot.encoders.devices import products_of_bf16

_HINT = 1024  # number of tokens for which oneDNN chooses a weight layout; it works with any number


class Linear(NamedTuple):
    """Parameters of a product.

    Attributes:
        name: of its first layer, without the encoder's prefix.
        pairs: weights (outputs, inputs) and biases (outputs,) of parallel layers with the same inputs.
        gelu: apply the exact GELU to the outputs.
    """

    name: str
    pairs: list[tuple[Tensor, Tensor]]
    gelu: bool = False

    def joined(self) -> tuple[Tensor, Tensor]:
        """Return the weights and biases, concatenated as those of one layer."""
        weight, bias = (torch.cat(parts) for parts in zip(*self.pairs, strict=True))
        return weight, bias


class Product(Protocol):
    """Linear layers in parallel."""

    width: int
    """Total number of outputs, d."""

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Return the outputs (tokens, d) plus `more`; they may be written to `out`, of the same shape."""


def in_half(linear: Linear) -> Product:
    """Return a product in bfloat16, on a copy of the weights."""
    weight, bias = (part.bfloat16() for part in linear.joined())
    half = linear._replace(pairs=[(weight, bias)])
    return Prepacked(half) if can_prepack() else Plain(half)


def in_full(linear: Linear) -> Product:
    """Return a product in the weights' own precision; in float32 on a copy of them if oneDNN is faster."""
    full = linear.pairs[0][0].dtype == torch.float32
    return Prepacked(linear) if full and _prefers_onednn() else Plain(linear)


class Prepacked:
    """A product with weights in oneDNN's own layout."""

    def __init__(self, linear: Linear) -> None:
        weight, self._bias = linear.joined()
        self.width = len(self._bias)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, _HINT)
        self._after: tuple[str, list[float], str] = ("gelu", [], "none") if linear.gelu else ("none", [], "")

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Return outputs (tokens, d) in new memory."""
        products = torch.ops.mkldnn._linear_pointwise
        # `more` is added before sums are rounded, and in the same pass over memory.
        found: Tensor = (
            products(values, self._packed, self._bias, *self._after)
            if more is None
            else products.binary(values, more, self._packed, self._bias, "add")
        )
        return found


class Plain:
    """A product with the weights as they are, possibly the model's own."""

    def __init__(self, linear: Linear) -> None:
        self.width = sum(len(bias) for _, bias in linear.pairs)
        self._pairs, self._gelu = linear.pairs, linear.gelu

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Return outputs (tokens, d) in `out`."""
        parts = torch.split(out, [len(bias) for _, bias in self._pairs], dim=1)
        for part, (weight, bias) in zip(parts, self._pairs, strict=True):
            torch.addmm(bias, values, weight.T, out=part)
        if self._gelu:
            torch.ops.aten.gelu_(out)
        return out if more is None else out.add_(more)


def can_prepack() -> bool:
    """Return whether bfloat16 products can use weights in oneDNN's layout; plain ones reorder them at every call."""
    return products_of_bf16() and _has_onednn()


def _has_onednn() -> bool:
    operations = ("_reorder_linear_weight", "_linear_pointwise")
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(there) and all(hasattr(torch.ops.mkldnn, name) for name in operations)


@cache
def _prefers_onednn() -> bool:
    """Return whether torch's default, MKL, is slower in float32: on non-Intel processors it does not use AVX-512."""
    facts = torch.cpu.get_capabilities()
    other = facts.get("architecture") == "x86_64" and "Intel" not in str(facts.get("cpu_name"))
    mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    return other and bool(mkl) and _has_onednn()
