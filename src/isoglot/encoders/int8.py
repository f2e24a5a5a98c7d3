"""Matrix products in 8 bits, with the inputs' ranges taken from calibration texts.

An encoder's channels differ in magnitude by a factor of a hundred. Before rounding, each is divided by its own scale,
and its weights are multiplied by it: Xiao and others 2023 (SmoothQuant, arXiv 2211.10438), equation 4. The midpoint of
its range and the mean error of the rounded weights go into the bias. Only inputs that come from a normalisation are
rounded: outputs of attention and of the activation would lose too much in 8 bits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Literal

import torch
from numpy import int64
from numpy.typing import NDArray
from torch import Tensor

from isoglot.encoders.devices import fast_bf16
from isoglot.encoders.layers import Layers, Shape
from isoglot.encoders.products import Linear, Product, in_full, in_half

_ROUNDED = ("attention.self.query", "intermediate.dense")
_ZERO, _MOST = 128, 127  # oneDNN multiplies unsigned by signed bytes
_ALPHA = 0.8  # the share of a channel's magnitude that moves to its weights
_MARGIN = 1.1  # over the range seen on the calibration texts
_TINY = 1e-6  # minimum range, for channels that are always zero
_PASSAGES = 8  # per language


def layers_in(
    precision: Literal["bf16", "fp32", "int8"],
    weights: Mapping[str, Tensor],
    shape: Shape,
    known: Callable[[], tuple[Tensor, NDArray[int64]]],
) -> Layers:
    """Return layers in bfloat16, in their weights' own precision, or with int8 products after a normalisation.

    Args:
        precision: with int8, everything else uses the processor's best precision.
        weights: as in `Layers`.
        shape: of the encoder.
        known: called for int8; returns embeddings of calibration texts (tokens, d), concatenated, and their lengths in
            descending order.
    """
    if precision != "int8":
        return Layers(weights, shape, half=precision == "bf16")
    half = fast_bf16("cpu")
    own = in_half if half else in_full
    embedded, lengths = known()
    watched: dict[str, _Watched] = {}

    def watch(linear: Linear) -> Product:
        if not linear.name.endswith(_ROUNDED):
            return own(linear)
        watched[linear.name] = seen = _Watched(own(linear), len(embedded))
        return seen

    def rounded(linear: Linear) -> Product:
        return _Rounded(linear, watched[linear.name]) if linear.name in watched else own(linear)

    Layers(weights, shape, half=half, product=watch)(embedded, lengths)
    return Layers(weights, shape, half=half, product=rounded)


def known_passages() -> list[str]:
    """Return calibration passages from the embedded corpus, as many in every language."""
    lines = resources.files("isoglot").joinpath("atlas", "train.jsonl").read_text("utf-8").splitlines()
    found: dict[str, dict[str, None]] = {}
    for row in map(json.loads, lines):
        of_language = found.setdefault(row["lang"], {})
        if len(of_language) < _PASSAGES:
            of_language[row["passage"]] = None
    return [passage for passages in found.values() for passage in passages]


class _Watched:
    """A product that records statistics of its inputs.

    Args:
        product: does the work.
        tokens: number of rows that are tokens; the rest is padding.

    Attributes:
        low: (inputs,) minimum of each channel.
        high: (inputs,) maximum of each channel.
        mean: (inputs,) mean of each channel.
    """

    low: Tensor
    high: Tensor
    mean: Tensor

    def __init__(self, product: Product, tokens: int) -> None:
        self.width, self._product, self._tokens = product.width, product, tokens

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        real = values[: self._tokens].float()
        self.low, self.high, self.mean = real.amin(dim=0), real.amax(dim=0), real.mean(dim=0)
        return self._product(values, out, more)


class _Rounded:
    def __init__(self, linear: Linear, seen: _Watched) -> None:
        weight, bias = (part.float() for part in linear.joined())
        self.width = len(bias)
        middle, most = (seen.high + seen.low) / 2, ((seen.high - seen.low) / 2).clamp_min(_TINY)
        scale = most**_ALPHA / weight.abs().amax(dim=0).clamp_min(_TINY) ** (1 - _ALPHA)
        scale *= float((most / scale).max()) * _MARGIN / _MOST  # now inputs divided by it are in quantisation steps
        self._steps = scale.reciprocal()
        # Converting to a byte truncates: the added 0.5 makes it round.
        self._zero = _ZERO + 0.5 - middle / scale
        scaled = weight * scale
        self._of_outputs = scaled.abs().amax(dim=1).clamp_min(_TINY) / _MOST
        whole = torch.round(scaled / self._of_outputs[:, None])
        missed = weight - whole * self._of_outputs[:, None] / scale
        self._bias = bias + weight @ middle + missed @ (seen.mean - middle)
        self._packed = torch.ops.onednn.qlinear_prepack(whole.to(torch.int8), None)
        self._zeros = torch.zeros(self.width, dtype=torch.int64)
        self._after: tuple[str, list[float], str] = ("gelu", [], "none") if linear.gelu else ("none", [], "")

    def __call__(self, values: Tensor, out: Tensor, more: Tensor | None = None, /) -> Tensor:
        given = torch.addcmul(self._zero, values, self._steps).clamp_(0, _ZERO + _MOST).to(torch.uint8)
        inputs, weights = (given, 1.0, _ZERO), (self._packed, self._of_outputs, self._zeros, self._bias)
        found: Tensor = torch.ops.onednn.qlinear_pointwise(*inputs, *weights, 1.0, 0, values.dtype, *self._after)
        return found if more is None else found + more
