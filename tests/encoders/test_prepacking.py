"""Prepacked products: the values of the plain layers, and layers that are none of their business left alone."""

import pytest
import torch
from torch import nn
from transformers.activations import ACT2FN

from isoglot.encoders.prepacking import Prepacked, prepack


class Intermediate(nn.Module):
    """Laid out as transformers' own: a product and what follows it."""

    def __init__(self, activation):
        super().__init__()
        self.dense = nn.Linear(48, 80)
        self.intermediate_act_fn = ACT2FN[activation]

    def forward(self, values):
        return self.intermediate_act_fn(self.dense(values))


@pytest.mark.parametrize("rows", [1, 7, 64, 1500])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_values_are_those_of_the_plain_layers(rows, activation):
    layers = nn.Sequential(Intermediate(activation), nn.Linear(80, 32, bias=False)).bfloat16()
    values = torch.randn(1, rows, 48).bfloat16()
    with torch.inference_mode():
        plain = layers(values)
        prepack(layers)
        found = layers(values)
    assert type(layers[1]) is Prepacked
    assert type(layers[0]) is (Prepacked if activation == "gelu" else Intermediate)
    assert found.shape == (1, rows, 32)
    torch.testing.assert_close(found, plain, atol=0.02, rtol=0.02)


def test_gelu_is_the_exact_one():
    linear = nn.Linear(1, 1).bfloat16()
    with torch.no_grad():
        linear.weight.fill_(1)
        linear.bias.zero_()
    values = torch.linspace(-4, 4, 257)[:, None].bfloat16()
    with torch.inference_mode():
        found = Prepacked(linear, gelu=True)(values)
    # x * Phi(x), by the definition; bfloat16 keeps 8 bits.
    wanted = values.double() * torch.special.ndtr(values.double())
    torch.testing.assert_close(found.double(), wanted, atol=2e-5, rtol=2**-8)
