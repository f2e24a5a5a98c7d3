"""Layers straight from their weights, against transformers' own in double precision."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel
from transformers.activations import ACT2FN

from isoglot.encoders.layers import Layers, Shape
from isoglot.encoders.products import Linear, Plain, Prepacked

LENGTHS = np.array([90, 40, 33, 33, 32, 17, 17, *[16] * 70, 5, 1])
SIZES = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 80}


def encoder(activation="gelu"):
    torch.manual_seed(0)
    made = BertModel(BertConfig(vocab_size=10, hidden_act=activation, **SIZES)).eval().encoder
    for weights in made.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return made


def shape(made, activation=None):
    return Shape(len(made.layer), 3, made.config.layer_norm_eps, activation)


def one_by_one(made, hidden):
    """Each text alone through transformers' layers, (tokens, d) in double precision."""
    made.double()
    texts = torch.split(hidden.double(), LENGTHS.tolist())
    return torch.cat([made(text[None]).last_hidden_state[0] for text in texts])


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize(("half", "least"), [(False, 1 - 1e-6), (True, 0.9995)])
def test_hidden_states_are_those_of_each_text_alone(activation, half, least):
    made = encoder(activation)
    hidden = torch.randn(LENGTHS.sum(), 48)
    with torch.inference_mode():
        layers = Layers(made.state_dict(), shape(made, None if activation == "gelu" else ACT2FN[activation]), half=half)
        found = layers(hidden, LENGTHS)
        wanted = one_by_one(made, hidden)
    assert found.dtype == (torch.bfloat16 if half else torch.float32)
    assert torch.cosine_similarity(found.double(), wanted, dim=1).min() > least
    torch.testing.assert_close(found.double(), wanted, atol=0.2 if half else 1e-5, rtol=0)


def test_plain_products_share_the_weights():
    made = encoder()
    hidden = torch.randn(LENGTHS.sum(), 48)
    with torch.no_grad():
        layers = Layers(made.state_dict(), shape(made), half=False, product=Plain)
        for weights in made.parameters():
            weights.mul_(0.5)
        found = layers(hidden, LENGTHS)
        torch.testing.assert_close(found.double(), one_by_one(made, hidden), atol=1e-5, rtol=0)


@pytest.mark.parametrize("product", [Plain, Prepacked])
@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("gelu", [False, True])
def test_a_product_is_one_of_layers_side_by_side(product, more, gelu):
    """Both libraries, whichever of them this processor is faster with."""
    torch.manual_seed(0)
    values, sizes = torch.randn(13, 48), (48, 16)
    pairs = [(torch.randn(size, 48), torch.randn(size)) for size in sizes]
    added = torch.randn(13, 64) if more and not gelu else None
    made = product(Linear("layer.0.output.dense", pairs, gelu))
    with torch.inference_mode():
        found = made(values, torch.empty(13, 64), added)
        exact = values.double()
        wanted = torch.cat([exact @ weight.double().T + bias.double() for weight, bias in pairs], dim=1)
    if gelu:
        wanted = wanted * torch.special.ndtr(wanted)
    if added is not None:
        wanted = wanted + added.double()
    assert made.width == 64
    torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_weights_may_be_in_half_precision_themselves(half):
    made, hidden = encoder().bfloat16(), torch.randn(LENGTHS.sum(), 48)
    with torch.inference_mode():
        found = Layers(made.state_dict(), shape(made), half=half)(hidden, LENGTHS)
        wanted = one_by_one(made, hidden)
    assert found.dtype == torch.bfloat16
    assert torch.cosine_similarity(found.double(), wanted, dim=1).min() > 0.999


def test_gelu_is_the_exact_one():
    """A layer that only lets x through: what its wide product gives is x * Phi(x), by the definition."""
    made = encoder()
    with torch.no_grad():
        for weights in made.parameters():
            weights.zero_()
        first = made.layer[0]
        first.attention.output.LayerNorm.weight.fill_(1)
        first.intermediate.dense.weight[:48, :48] = torch.eye(48)
        first.output.dense.weight[:48, :48] = torch.eye(48)
        first.output.LayerNorm.weight.fill_(1)
        one = Shape(1, 3, made.config.layer_norm_eps)
        hidden = torch.randn(1, 48)
        found = Layers(made.state_dict(), one, half=True)(hidden, np.array([1]))

        def norm(values):
            return (values - values.mean()) / values.std(correction=0)

        x = norm(hidden.double())
        wanted = norm(x + x * torch.special.ndtr(x))
    torch.testing.assert_close(found.double(), wanted, atol=0.03, rtol=0.01)


_WITHOUT_BF16 = """
import sys
from isoglot.encoders.devices import fast_bf16, resolve_precision
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
assert not fast_bf16("cpu")
assert resolve_precision("auto", "cpu") == "fp32"
half, full = (open_embedder(sys.argv[1], ModelOptions(precision=name)) for name in ("bf16", "auto"))
texts = ["Ein Berg", "ein anderer Text, der etwas weiter geht", "a"]
print(float((half(texts, "query") * full(texts, "query")).sum(axis=1).min()))
"""


def test_a_processor_without_products_of_bf16_takes_other_ones(tiny_model):
    # oneDNN is told to leave unused what this processor may have.
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    command = [sys.executable, "-c", _WITHOUT_BF16, str(tiny_model)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) > 0.99
