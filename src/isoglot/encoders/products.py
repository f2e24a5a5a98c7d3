"""Linear layers by the library of products that this processor is fastest with."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from isoglot.encoders.devices import products_of_bf16

_HINT = 1024  # tokens of a product that oneDNN chooses a layout for; others may have it as well


class Linear(NamedTuple):
    """What a product needs.

    Attributes:
        name: its first layer's, without the encoder's.
        pairs: weights (outputs, inputs) and biases (outputs,) of layers side by side, which have the same inputs.
        gelu: the exact GELU follows.
    """

    name: str
    pairs: list[tuple[Tensor, Tensor]]
    gelu: bool = False

    def joined(self) -> tuple[Tensor, Tensor]:
        """Weights and biases as those of one layer."""
        weight, bias = (torch.cat(parts) for parts in zip(*self.pairs, strict=True))
        return weight, bias


class Product(Protocol):
    """Linear layers side by side."""

    width: int
    """d of the outputs."""

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Their outputs (tokens, d), with `more` added; they may be written into `out`, of that shape."""


def in_half(linear: Linear) -> Product:
    """In bfloat16, on a copy of the weights."""
    weight, bias = (part.bfloat16() for part in linear.joined())
    half = linear._replace(pairs=[(weight, bias)])
    return Prepacked(half) if can_prepack() else Plain(half)


def in_full(linear: Linear) -> Product:
    """In the weights' own precision; in float32 on a copy of them where oneDNN is the faster library."""
    full = linear.pairs[0][0].dtype == torch.float32
    return Prepacked(linear) if full and _prefers_onednn() else Plain(linear)


class Prepacked:
    """By weights that lie as oneDNN reads them."""

    def __init__(self, linear: Linear) -> None:
        weight, self._bias = linear.joined()
        self.width = len(self._bias)
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, _HINT)
        self._after: tuple[str, list[float], str] = ("gelu", [], "none") if linear.gelu else ("none", [], "")

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Outputs (tokens, d) in new memory."""
        products = torch.ops.mkldnn._linear_pointwise
        # Added before the sums are rounded, and in the same pass over memory.
        found: Tensor = (
            products(values, self._packed, self._bias, *self._after)
            if more is None
            else products.binary(values, more, self._packed, self._bias, "add")
        )
        return found


class Plain:
    """By weights as they are, which may be the model's own."""

    def __init__(self, linear: Linear) -> None:
        self.width = sum(len(bias) for _, bias in linear.pairs)
        self._pairs, self._gelu = linear.pairs, linear.gelu

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        """Outputs (tokens, d) in `out`."""
        parts = torch.split(out, [len(bias) for _, bias in self._pairs], dim=1)
        for part, (weight, bias) in zip(parts, self._pairs, strict=True):
            torch.addmm(bias, values, weight.T, out=part)
        if self._gelu:
            torch.ops.aten.gelu_(out)
        return out if more is None else out.add_(more)


def can_prepack() -> bool:
    """Whether there are products in bfloat16 whose weights lie as oneDNN reads them; a plain one reorders them anew."""
    return products_of_bf16() and _has_onednn()


def _has_onednn() -> bool:
    operations = ("_reorder_linear_weight", "_linear_pointwise")
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(there) and all(hasattr(torch.ops.mkldnn, name) for name in operations)


@cache
def _prefers_onednn() -> bool:
    """Whether torch's own choice, MKL, is the slower one in float32: on others' processors it leaves AVX-512 unused."""
    facts = torch.cpu.get_capabilities()
    other = facts.get("architecture") == "x86_64" and "Intel" not in str(facts.get("cpu_name"))
    mkl = torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
    return other and bool(mkl) and _has_onednn()
