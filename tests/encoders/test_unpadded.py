"""Encoding without padding: the vectors of the padded model, whatever stands beside a text."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from isoglot.encoders.encoding import ModelEmbedder
from isoglot.encoders.loading import load
from isoglot.encoders.unpadded import can_unpad
from support import models

TEXTS = ["sky", "What is blue? The sky was blue and the grass was green.", "eins zwei drei", "", "ένα δύο τρία " * 4,
         *(f"alpha {number} beta" for number in range(12))]  # fmt: skip


@pytest.fixture(params=["tiny", "bert-cls-pooler", "xlm-r"])
def model(request, tmp_path, tiny_model):
    if request.param == "tiny":
        return load(str(tiny_model), device="cpu")
    if request.param == "xlm-r":
        return load(str(models.xlm_roberta(tmp_path / "multilingual-e5-tiny")), device="cpu")
    return load(str(models.bert(tmp_path / "LaBSE")), device="cpu")


def padded(model, precision="fp32"):
    """The vectors of Sentence Transformers' own forward pass, unit length."""
    prompt = model.prompts.get("document") or ""
    found = model.encode([*TEXTS], prompt=prompt, batch_size=len(TEXTS), normalize_embeddings=True)
    return np.asarray(found, np.float32)


def test_vectors_are_those_of_the_padded_model(model):
    assert can_unpad(model)
    found = ModelEmbedder(model, precision="fp32")(TEXTS, "passage")
    filled = [place for place, text in enumerate(TEXTS) if text]
    np.testing.assert_allclose(found[filled], padded(model)[filled], atol=2e-6)


def test_half_precision_leaves_vectors_where_they_were(model):
    full, half = (ModelEmbedder(model, precision=name)(TEXTS, "passage") for name in ("fp32", "bf16"))
    assert not np.array_equal(full, half)
    assert (full * half).sum(axis=1).min() > 0.999
    assert model[0].auto_model.dtype == torch.float32


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_vector_does_not_depend_on_its_neighbours(model, precision):
    embed = ModelEmbedder(model, precision=precision)
    together = embed(TEXTS, "query")
    alone = np.concatenate([embed([text], "query") for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=2e-6 if precision == "fp32" else 0.02)


def test_weights_that_change_are_copied_again(tiny_model):
    model = load(str(tiny_model), device="cpu")
    embed = ModelEmbedder(model, precision="bf16")
    before = embed(TEXTS, "passage")
    assert np.array_equal(embed(TEXTS, "passage"), before)
    with torch.no_grad():
        model[0].auto_model.encoder.layer[1].output.dense.weight.mul_(-1)
    after = embed(TEXTS, "passage")
    assert not np.allclose(after, before, atol=0.05)
    np.testing.assert_array_equal(after, ModelEmbedder(model, precision="bf16")(TEXTS, "passage"))


def test_what_happens_to_a_model_between_two_calls_is_seen(tiny_model):
    model = load(str(tiny_model), device="cpu")
    embed = ModelEmbedder(model, precision="fp32")
    before = embed(TEXTS, "passage")
    model.train()  # with dropout, where the model has any
    assert np.array_equal(embed(TEXTS, "passage"), before)
    assert not any(module.training for module in model.modules())
    seen = []
    handle = model[0].register_forward_pre_hook(lambda module, given: seen.append(len(given[0]["input_ids"])))
    embed(TEXTS, "passage")
    assert sum(seen) == len(set(TEXTS))
    handle.remove()
    layer = model[0].auto_model.encoder.layer[0]
    layer.output.dense = torch.nn.Linear(layer.output.dense.in_features, layer.output.dense.out_features)
    after = embed(TEXTS, "passage")
    assert not np.allclose(after, before, atol=1e-3)
    np.testing.assert_array_equal(after, ModelEmbedder(model, precision="fp32")(TEXTS, "passage"))


def test_threads_share_an_embedder(tiny_model):
    embed = ModelEmbedder(load(str(tiny_model), device="cpu"), precision="fp32")
    alone = [embed([text], "query") for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: embed([text], "query"), TEXTS * 3))
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(alone * 3), atol=1e-6)


def test_models_that_are_watched_or_built_otherwise_keep_their_padding(tiny_model, tmp_path):
    model = load(str(tiny_model), device="cpu")
    seen = []
    handle = model[0].register_forward_pre_hook(lambda module, given: seen.append(len(given[0]["input_ids"])))
    assert not can_unpad(model)
    ModelEmbedder(model)(TEXTS, "query")
    assert sum(seen) == len(set(TEXTS))
    handle.remove()
    assert can_unpad(model)
    assert not can_unpad(load(str(models.qwen3(tmp_path / "decoder")), device="cpu"))
