import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isoglot.training.losses.batch import pair_batch
from isoglot.training.losses.chunked import embed_columns
from isoglot.training.losses.terms import info_nce
from isoglot.training.losses.weighted import GroupMaskedInfoNCE


def naive_loss(queries, columns, ids, temperature):
    """The definition, one cosine at a time; ids[i][c] names the passage in column c of pair i, -1 nobody's."""
    pairs = len(queries)

    def cosine(a, b):
        return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))

    total = 0.0
    for i in range(pairs):
        own, among = math.exp(cosine(queries[i], columns[0][i]) / temperature), 0.0
        for c, column in enumerate(columns):
            for j in range(pairs):
                same = ids[j][c] >= 0 and ids[j][c] == ids[i][0]
                if (c == 0 and j == i) or not same:
                    among += math.exp(cosine(queries[i], column[j]) / temperature)
        total -= math.log(own / among)
    return total / pairs


class NoModel(torch.nn.Module):
    """Loss functions keep a model; these tests give embeddings themselves."""


@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 3), st.sampled_from([0.05, 0.3, 1.0]), st.booleans())
def test_masking_equals_a_naive_double_loop(seed, pairs, columns, temperature, flat):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(columns + 1, pairs, 4))
    ids = rng.integers(-1, 4, size=(pairs, columns))
    # A query's own passage has an identity; hard negatives may be some other pair's passage, or nobody's.
    ids[:, 0] = rng.integers(0, max(1, pairs // 2) + 1, pairs)
    if flat:
        ids[:, 1:] = -1
    labels = torch.from_numpy(ids[:, 0].copy() if flat else ids)
    loss = GroupMaskedInfoNCE(NoModel(), temperature)
    found = loss.compare(pair_batch([torch.from_numpy(part) for part in vectors], labels, temperature)).loss
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(
        naive_loss(vectors[0], list(vectors[1:]), ids.tolist(), temperature), rel=1e-4, abs=1e-6
    )


def test_without_shared_passages_it_is_plain_in_batch_cross_entropy():
    queries, passages = torch.eye(3), torch.eye(3)[[0, 2, 1]]
    one, zero = math.e, 1.0
    expected = -(math.log(one / (one + 2 * zero)) + 2 * math.log(zero / (one + 2 * zero))) / 3
    assert float(info_nce(pair_batch([queries, passages], torch.arange(3), 1.0))) == pytest.approx(expected)


def test_a_batch_of_one_component_has_nothing_to_learn():
    vectors = torch.randn(4, 5, requires_grad=True)
    ids = torch.zeros(4, dtype=torch.long)
    loss = info_nce(pair_batch([vectors, vectors.detach()], ids, 0.03))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert float(vectors.grad.abs().max()) == 0.0


def test_half_precision_embeddings_are_compared_in_float32():
    torch.manual_seed(0)
    queries, passages = torch.randn(4, 8).bfloat16(), torch.randn(4, 8).bfloat16()
    ids = torch.tensor([0, 1, 1, 2])
    expected = info_nce(pair_batch([queries.float(), passages.float()], ids, 0.03))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = info_nce(pair_batch([queries, passages], ids, 0.03))
    assert float(found) == float(expected)


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        (1, torch.zeros(3, dtype=torch.long)),
        (2, None),
        (2, torch.zeros(2, dtype=torch.long)),
        (3, torch.zeros((3, 3), dtype=torch.long)),
        (2, torch.zeros((3, 2), dtype=torch.long)),
    ],
)
def test_columns_and_labels_that_do_not_fit(columns, labels):
    with pytest.raises(ValueError, match="expected"):
        pair_batch([torch.randn(3, 4)] * columns, labels, 0.03)


TEXTS = ["kurz", "a much longer text about mountains and rivers", "", "山", "mittel lang", "अ" * 30, "x", "yz"]


@pytest.fixture(scope="module")
def model(tiny_model):
    from isoglot.encoders.loading import load

    return load(str(tiny_model), device="cpu").eval()


@pytest.mark.parametrize("chunk", [None, 1, 3, 8, 100])
@pytest.mark.parametrize("side", ["right", "left"])
def test_chunks_equal_one_padded_pass(model, chunk, side):
    features = dict(model.preprocess(TEXTS))
    if side == "left":
        features = {key: value.flip(1) if torch.is_tensor(value) else value for key, value in features.items()}
    with torch.no_grad():
        found = embed_columns(model, [features], chunk)[0]
        plain = model(dict(features))["sentence_embedding"]
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


def test_chunks_are_as_narrow_as_their_longest_text(model, monkeypatch):
    seen = []
    plain = type(model).forward

    def watched(self, features, *args, **kwargs):
        seen.append(tuple(features["input_ids"].shape))
        return plain(self, features, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", watched)
    features = dict(model.preprocess(TEXTS))
    lengths = sorted(features["attention_mask"].sum(dim=1).tolist(), reverse=True)
    with torch.no_grad():
        embed_columns(model, [features], 3)
    assert seen == [(3, lengths[0]), (3, lengths[3]), (2, lengths[6])]


def test_gradients_through_chunks_equal_those_of_one_pass(model):
    queries, passages = model.preprocess(TEXTS), model.preprocess([text + "!" for text in TEXTS])
    labels = torch.tensor([0, 1, 2, 2, 3, 4, 5, 6])

    def gradients(chunk):
        model.zero_grad()
        loss = GroupMaskedInfoNCE(model, 0.1, chunk=chunk)([dict(queries), dict(passages)], labels)
        loss.backward()
        return float(loss), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    whole, expected = gradients(None)
    chunked, found = gradients(3)
    assert chunked == pytest.approx(whole, rel=1e-5)
    assert found.keys() == expected.keys()
    assert len(found) > 30
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-3)


def test_what_the_model_card_records():
    assert GroupMaskedInfoNCE(NoModel(), 0.05).get_config_dict() == {
        "temperature": pytest.approx(0.05),
        "gather_across_devices": False,
    }
