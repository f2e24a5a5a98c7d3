import numpy as np
import pytest

from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load


@pytest.fixture(scope="module")
def model(tiny_model):
    return load(str(tiny_model))


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
