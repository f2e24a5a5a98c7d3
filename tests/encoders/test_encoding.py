import pickle

import numpy as np
import pytest

from isoglot.encoders.encoding import ModelEmbedder, encode
from isoglot.encoders.in_context import encode_in_context
from isoglot.encoders.light import open_light
from isoglot.encoders.loading import load
from isoglot.encoders.options import ModelOptions
from support.models import xlm_roberta


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model))


def test_no_texts_have_vectors_of_the_model_s_dimension(model, tiny_model):
    light = open_light(str(tiny_model), ModelOptions(device="cpu"))
    for found in (encode(model, [], "query"), light.encoded([], "query")):
        assert found.vectors.shape == (0, 32)
        assert (found.texts, found.tokens, found.cut) == (0, 0, 0)
    assert encode_in_context(model, [], []).shape == (0, 32)
    shorter = load(str(tiny_model))
    shorter.truncate_dim = 8
    assert encode(shorter, ["a"], "query").vectors.shape == (1, 8)
    assert encode(shorter, [], "query").vectors.shape == (0, 8)


def test_a_text_is_read_only_as_far_as_it_may_count(model, monkeypatch):
    """64 tokens are kept; what lies beyond 256 characters a token never reaches the tokenizer."""
    lengths, inner = [], model.preprocess

    def preprocess(texts, **wanted):
        lengths.extend(map(len, texts))
        return inner(texts, **wanted)

    monkeypatch.setattr(model, "preprocess", preprocess)
    found = encode(model, ["wort " * 1_000_000, "wort " * 100, "wort"], "passage", precision="fp32")
    assert max(lengths) == 64 * 256
    np.testing.assert_allclose(found.vectors[0], found.vectors[1], atol=1e-6)
    assert not np.allclose(found.vectors[0], found.vectors[2], atol=1e-3)


def test_weights_in_float16_are_not_mixed_with_bfloat16(tmp_path):
    """Attention as written keeps the padding in, and goes through the model's own layers."""
    eager = {"attn_implementation": "eager"}
    folder = str(xlm_roberta(tmp_path / "model"))
    half = load(folder, device="cpu", dtype="float16", model_kwargs=eager)
    texts = ["sky", "the blue grass is green"]
    expected = encode(load(folder, device="cpu"), texts, "query", precision="fp32").vectors
    np.testing.assert_allclose(encode(half, texts, "query", precision="bf16").vectors, expected, atol=0.01)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_embedder_in_use_can_be_sent_to_another_process(model, precision):
    """An executor's workers get the model that has just computed the index's probe vectors."""
    embedder = ModelEmbedder(model, precision=precision)
    before = embedder(["Der Mond"], "query")
    embedder.encoded_tokens(["Der Mond"], "passage")
    again = pickle.loads(pickle.dumps(embedder))
    assert np.array_equal(again(["Der Mond"], "query"), before)
    assert np.array_equal(embedder(["Der Mond"], "query"), before)
