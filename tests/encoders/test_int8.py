"""Products of bytes: close to what they round, refused where they cannot be."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from isoglot.core.errors import InputError
from isoglot.encoders import devices
from isoglot.encoders.encoding import ModelEmbedder
from isoglot.encoders.int8 import known_passages, layers_in
from isoglot.encoders.layers import Layers, Shape
from isoglot.encoders.light import open_light
from isoglot.encoders.loading import load
from isoglot.encoders.options import ModelOptions
from isoglot.training.settings import TrainSettings

needs_bytes = pytest.mark.skipif(not devices.fast_int8("cpu"), reason="this processor has no 8-bit dot products")
LENGTHS = np.array([40, 33, 17, 16, 5, 1])


@needs_bytes
@pytest.mark.parametrize("outlier", [1, 50])
def test_layers_are_close_to_those_in_full_precision(outlier):
    """Also where one channel is fifty times as large as the others, of which one range for all would leave little."""
    torch.manual_seed(0)
    config = BertConfig(vocab_size=10, hidden_size=48, num_hidden_layers=2, num_attention_heads=3)
    made = BertModel(config).eval().encoder
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if "LayerNorm" not in name:
                torch.nn.init.normal_(weights, std=0.2)
        for layer in made.layer:
            layer.output.LayerNorm.weight[7] = outlier
            seen = layer.attention.self
            for part in (seen.query, seen.key, seen.value, layer.intermediate.dense):
                part.weight[:, 7] /= outlier
    shape, hidden = Shape(2, 3, 1e-12), torch.randn(LENGTHS.sum(), 48)
    with torch.inference_mode():
        wanted = Layers(made.state_dict(), shape, half=False)(hidden, LENGTHS).float()
        found = layers_in("int8", made.state_dict(), shape, lambda: (hidden, LENGTHS))(hidden, LENGTHS).float()
        half = layers_in("bf16", made.state_dict(), shape, lambda: pytest.fail("asked for"))(hidden, LENGTHS).float()
    others = [channel for channel in range(48) if channel != 7]
    assert torch.cosine_similarity(found[:, others], wanted[:, others]).min() > 0.995
    assert not torch.equal(found, half)


@needs_bytes
def test_vectors_of_a_model_and_of_the_same_opened_for_a_few_texts(tiny_model):
    texts = ["Ein Berg im Süden", "a text that goes on a little further than the other", "山", ""]
    full = ModelEmbedder(load(tiny_model), precision="fp32")(texts, "passage")
    bytes_ = ModelEmbedder(load(tiny_model), precision="int8")
    found, light = bytes_(texts, "passage"), open_light(str(tiny_model), ModelOptions(precision="int8"))
    assert (found * full).sum(axis=1).min() > 0.99
    np.testing.assert_array_equal(found, bytes_(texts, "passage"))
    np.testing.assert_allclose(bytes_(texts[:1], "passage")[0], found[0], atol=2e-2)
    if light is not None:
        np.testing.assert_allclose(light(texts, "passage"), found, atol=2e-2)


@needs_bytes
def test_few_tokens_of_a_text_are_rounded_by_the_ranges_of_many(tiny_model):
    """Known passages that were cut as short would show the ranges of nothing but their prompt."""
    texts = ["山", "Ein Berg im Süden", "a text that goes on a little further than the other"]
    opened = open_light(str(tiny_model), ModelOptions(precision="int8", length=4))
    assert opened is not None
    whole = ModelEmbedder(load(tiny_model), precision="int8", length=4)
    np.testing.assert_allclose(opened(texts, "query"), whole(texts, "query"), atol=2e-2)
    assert opened.encoded(texts, "query").was_cut.all()


def test_known_passages_are_as_many_in_every_language():
    passages = known_passages()
    assert len(passages) == len(set(passages)) == 11 * 8


@needs_bytes
def test_refused_if_settings_leave_only_older_instructions():
    program = "from isoglot.encoders.devices import fast_int8; print(fast_int8('cpu'))"
    limited = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=limited, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_refused_without_products_of_bytes(tiny_model, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(InputError, match=r"int8: cpu has no 8-bit dot products .*expected bf16, fp32 or auto"):
        ModelEmbedder(load(tiny_model), precision="int8")


@needs_bytes
def test_refused_for_what_is_not_made_of_these_layers(tiny_model):
    model = load(tiny_model)
    model.register_forward_hook(lambda *given: None)
    with pytest.raises(InputError, match=r"int8: .* does not have BERT's layers; expected bf16, fp32 or auto"):
        ModelEmbedder(model, precision="int8")


def test_no_training_is_done_with_bytes():
    with pytest.raises(InputError, match=r"precision.*int8"):
        TrainSettings(precision="int8")
