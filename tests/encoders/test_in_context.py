"""Passages within their contexts: the whole is read, the part is pooled."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.encoders import encode_in_context
from isoglot.encoders.encoding import ModelEmbedder
from isoglot.encoders.functions import FunctionEmbedder
from isoglot.encoders.in_context import joined, with_contexts
from isoglot.encoders.loading import load
from isoglot.encoders.windows import windows
from support import models

PARAGRAPH = "The sky was blue. It was big. So high."
SENTENCES = ["The sky was blue.", "It was big.", "So high."]


@pytest.fixture(params=["tiny", "xlm-r"])
def model(request, tmp_path, tiny_model):
    made = load(str(tiny_model if request.param == "tiny" else models.xlm_roberta(tmp_path / "multilingual-e5-tiny")))
    made.prompts = {"query": "query: ", "document": "passage: "}
    return made


def by_hand(model, sentence, context):
    """Mean of a sentence's tokens, from one padded forward pass over the prompt and its context."""
    inputs = model.tokenizer("passage: " + context, return_offsets_mapping=True, return_tensors="pt")
    offsets = inputs.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        hidden = model[0].auto_model(**inputs).last_hidden_state[0]
    start = len("passage: ") + context.index(sentence)
    own = [place for place, (a, b) in enumerate(offsets) if b > start and a < start + len(sentence) and b > a]
    mean = hidden[own].mean(dim=0).numpy()
    return mean / np.linalg.norm(mean)


def test_it_is_the_mean_of_the_part_s_tokens_in_the_whole(model):
    found = ModelEmbedder(model, precision="fp32").encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage")
    wanted = [by_hand(model, sentence, PARAGRAPH) for sentence in SENTENCES]
    # Where a tokenizer gives a space to the word after it, the prompt's last one is told apart otherwise.
    assert (found * np.array(wanted)).sum(axis=1).min() > 0.98
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_another_context_is_another_vector_and_none_is_the_text_alone(model):
    embed = ModelEmbedder(model, precision="fp32")
    texts = ["It was big."] * 3
    first, second, alone = embed.encoded_within(
        texts, [PARAGRAPH, "The sea was wide. It was big.", "It was big."], "passage"
    )
    assert first @ second < 0.9999
    elsewhere = embed.encoded_within(["It was big."], ["A text without it."], "passage")[0]
    np.testing.assert_allclose(elsewhere, alone, atol=1e-5)


def test_padding_changes_nothing(model, monkeypatch):
    wanted = ModelEmbedder(model, precision="fp32").encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage")
    monkeypatch.setattr("isoglot.encoders.unpadded.can_unpad", lambda model: False)
    found = ModelEmbedder(model, precision="fp32").encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage")
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_a_long_context_is_read_in_windows(model):
    embed = ModelEmbedder(model, precision="fp32")
    long = " ".join(f"Sentence {number} was here." for number in range(60))
    texts = [f"Sentence {number} was here." for number in (0, 30, 59)]
    found = embed.encoded_within([*texts, "", long], [long] * 5, "passage")
    assert np.isfinite(found).all()
    assert found.shape[0] == 5
    alone = embed.encoded_within(texts, texts, "passage")
    assert np.abs(found[:3] - alone).max() > 1e-3


def test_no_texts(model):
    assert ModelEmbedder(model).encoded_within([], [], "passage").shape[0] == 0


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40)), min_size=1, max_size=12),
    st.integers(10, 60),
    st.integers(91, 140),
)
def test_every_part_is_whole_in_its_window_where_it_fits(parts, room, count):
    spans = [slice(start, min(start + length, count)) for start, length in parts]
    found = windows(spans, count, room)
    assert sorted(number for window in found for number in window.texts) == list(range(len(spans)))
    for tokens, some in found:
        assert 0 <= tokens.start < tokens.stop <= count
        assert tokens.stop - tokens.start <= max(room, count if count <= room else room)
        for number in some:
            span = spans[number]
            assert max(span.start, tokens.start) < min(span.stop, tokens.stop)
            if span.stop - span.start <= room:
                assert tokens.start <= span.start
                assert span.stop <= tokens.stop


def test_a_passage_that_hangs_on_its_context_is_found_by_less():
    own = np.array([[1, 0], [1, 0]], np.float32)
    within = np.array([[1, 0], [0, 1]], np.float32)
    found = joined(own, within)
    assert found.tolist() == [[1, 0], [pytest.approx(0.7), pytest.approx(0.3)]]
    query = np.array([0.6, 0.8], np.float32)
    np.testing.assert_allclose(found @ query, 0.7 * own @ query + 0.3 * within @ query, atol=1e-6)


def test_passages_for_a_search_by_inner_product(model):
    embed = ModelEmbedder(model, precision="fp32")
    found = encode_in_context(embed, SENTENCES, [PARAGRAPH] * 3)
    own = embed(SENTENCES, "passage")
    np.testing.assert_allclose(found, joined(own, embed.encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage")))
    with pytest.raises(InputError, match="contexts: 1 for 3 texts"):
        encode_in_context(embed, SENTENCES, [PARAGRAPH])


def test_what_cannot_read_so_is_refused(tmp_path):
    with pytest.raises(InputError, match="encodes texts without context"):
        with_contexts(FunctionEmbedder(lambda texts, role: [[1.0, 2.0]] * len(texts)))
    pooler = load(str(models.bert(tmp_path / "LaBSE")), device="cpu")
    with pytest.raises(InputError, match="has no mean pooling"):
        ModelEmbedder(pooler).encoded_within(["a"], ["a b"], "passage")


def test_modules_behind_the_pooling_and_weights_in_half_precision(tiny_model):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    plain = load(str(tiny_model))
    width = plain.get_embedding_dimension()
    model = SentenceTransformer(modules=[plain[0], plain[1], Dense(width, 16)], device="cpu").to(torch.bfloat16)
    embed = ModelEmbedder(model)
    assert embed.encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage").shape == (3, 16)


def test_an_encoder_s_threads_share_its_tokenizer(model):
    embed = ModelEmbedder(model, precision="fp32")
    wanted = embed.encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage")
    with ThreadPoolExecutor(4) as threads:
        together = list(
            threads.map(
                lambda number: (
                    embed.encoded_within(SENTENCES, [PARAGRAPH] * 3, "passage")
                    if number % 2
                    else embed.encoded_tokens(SENTENCES, "query").vectors
                ),
                range(12),
            )
        )
    for found in together[1::2]:
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    for found in together[::2]:
        np.testing.assert_allclose(found, together[0], atol=1e-5)


def test_what_is_no_text_is_refused(model):
    embed = ModelEmbedder(model)
    for texts, contexts in ((["a"], [None]), ([1], ["a"]), ("a", ["a"])):
        with pytest.raises(InputError, match="text"):
            encode_in_context(embed, texts, contexts)
