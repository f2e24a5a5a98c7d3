"""Matrix products whose weights lie as oneDNN's kernels read them, with the activation in the same pass.

A plain product brings its weights into that layout at every call, which takes a fifth of the time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import GELUActivation

_TOKENS = 1024  # rows of a product that the layout is chosen for; others may have it as well


class Prepacked(nn.Module):
    """A linear layer in bfloat16 on a CPU, and GELU after it where wanted. For inference only.

    Args:
        linear: whose weights are in bfloat16.
        gelu: whether the exact GELU follows.
    """

    def __init__(self, linear: nn.Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _TOKENS)
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._after: tuple[str, list[float], str] = ("gelu", [], "none") if gelu else ("none", [], "")

    def forward(self, values: Tensor) -> Tensor:
        """(..., d) to (..., e)."""
        found: Tensor = torch.ops.mkldnn._linear_pointwise(values, self._weight, self._bias, *self._after)
        return found


def prepack(layers: nn.Module) -> None:
    """Replace the linear layers of an encoder in bfloat16, with the GELU behind them, where torch has oneDNN."""
    operations = ("_reorder_linear_weight", "_linear_pointwise")
    if not torch.backends.mkldnn.is_available() or not all(hasattr(torch.ops.mkldnn, name) for name in operations):  # type: ignore[no-untyped-call]
        return
    for parent in [*layers.modules()]:
        for name, child in [*parent.named_children()]:
            dense = getattr(child, "dense", None)
            if type(child) is nn.Linear:
                setattr(parent, name, Prepacked(child))
            elif type(dense) is nn.Linear and type(getattr(child, "intermediate_act_fn", None)) is GELUActivation:
                setattr(parent, name, Prepacked(dense, gelu=True))
