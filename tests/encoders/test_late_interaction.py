"""Late interaction: the mean of the greatest cosines, and what mixes it with the cosine of whole texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.encoders import encode, open_judge
from isoglot.encoders.late_interaction import SHARE, SHARE_DRAWN, LateInteraction, late_scores, mixed
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.token_vectors import TokenVectors

CPU = ModelOptions(device="cpu", precision="fp32")


def made(lengths, seed, dimension=4):
    draw = np.random.default_rng(seed)
    vectors = draw.standard_normal((sum(lengths), dimension)).astype(np.float32)
    weights = draw.random(sum(lengths)).astype(np.float32) + 0.1
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    weights /= np.repeat(np.add.reduceat(weights, offsets[:-1]), lengths)
    return TokenVectors(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), offsets, weights)


def text(tokens, number):
    own = slice(tokens.offsets[number], tokens.offsets[number + 1])
    return tokens.vectors[own], tokens.weights[own]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.lists(st.integers(1, 9), min_size=1, max_size=7))
def test_each_token_meets_the_nearest_one(asked, held):
    queries, passages = made(asked, 0), made(held, 1)
    found = late_scores(queries, passages)
    for q in range(len(asked)):
        for p in range(len(held)):
            (own, weights), (others, _) = text(queries, q), text(passages, p)
            assert found[q, p] == pytest.approx(float(weights @ (own @ others.T).max(axis=1)), abs=1e-5)


def test_many_passages_and_long_queries_are_compared_in_parts(monkeypatch):
    queries, passages = made([3, 900, 1, 40], 0), made([*range(1, 40)] * 3, 1)
    wanted = late_scores(queries, passages)
    monkeypatch.setattr("isoglot.encoders.late_interaction._TOGETHER", 7)
    monkeypatch.setattr("isoglot.encoders.late_interaction._TOKENS", 41)
    np.testing.assert_allclose(late_scores(queries, passages), wanted, atol=1e-6)


def test_a_drawn_query_leaves_less_to_its_tokens():
    cosines, late = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert mixed(cosines, late).tolist() == pytest.approx([1 - SHARE, SHARE])
    assert mixed(cosines, late, drawn=True).tolist() == pytest.approx([1 - SHARE_DRAWN, SHARE_DRAWN])


@pytest.fixture
def encoder(tiny_model):
    return open_embedder(str(tiny_model), CPU)


def test_passages_are_encoded_once_and_the_least_needed_forgotten(encoder, monkeypatch):
    asked = []
    plain = encoder.encoded_tokens

    def noting(texts, role, *, what=None):
        asked.append((role, list(texts)))
        return plain(texts, role, what=what)

    monkeypatch.setattr(encoder, "encoded_tokens", noting)
    late = LateInteraction(encoder)
    first = late.late("sky", ["blue sky", "eins zwei", "blue sky"])
    assert asked == [("query", ["sky"]), ("passage", ["blue sky", "eins zwei"])]
    assert first[0] == first[2]
    np.testing.assert_array_equal(late.late("sky", ["eins zwei"]), first[1:2])
    assert asked[2:] == [("query", ["sky"])]
    LateInteraction(encoder, kept=0).late("sky", ["a", "b"])  # nothing can be kept, and all the same is compared
    assert late.late("sky", []).shape == (0,)


def test_a_judge_by_late_interaction_mixes_both(tiny_model, encoder):
    pairs = [("What is blue?", "The sky."), ("eins", "zwei drei"), ("What is blue?", "eins")]
    judge = open_judge(f"late:{tiny_model}", device="cpu")
    queries = encode(encoder, [query for query, _ in pairs], "query").vectors
    passages = encode(encoder, [passage for _, passage in pairs], "passage").vectors
    late = [LateInteraction(encoder).late(query, [passage])[0] for query, passage in pairs]
    wanted = mixed((queries * passages).sum(axis=1), np.array(late))
    np.testing.assert_allclose(judge.predict(pairs), wanted, atol=0.02)  # in half precision where that is fast


def test_an_endpoint_cannot_judge_so():
    with pytest.raises(InputError, match="compares tokens"):
        open_judge("late:endpoint:http://127.0.0.1:9/v1#some")


def test_late_alone_names_no_model_to_judge_by():
    for name in ("late", "late:"):
        with pytest.raises(InputError, match="`late` without a model is only for searches"):
            open_judge(name)
