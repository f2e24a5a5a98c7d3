"""What models read beside token ids: which way a text goes, and how much of it is the prompt."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Router
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from isoglot.core.errors import InputError
from isoglot.encoders.encoding import ModelEmbedder, encode
from isoglot.encoders.in_context import encode_in_context
from isoglot.encoders.loading import load
from isoglot.encoders.tokens import tokenize
from isoglot.training.collator import Negatives, TokenCollator
from isoglot.training.losses.chunked import embed_columns
from support.models import bert, xlm_roberta

TEXTS = ["sky", "blue grass green", "who was the sky of alpha", "grass"]
PROMPTS = {"query": "who is: ", "document": "what is: "}


def heads(folder, default):
    """One encoder; queries and documents go through layers of their own."""
    torch.manual_seed(1)
    router = Router({"query": [Dense(32, 32)], "document": [Dense(32, 32)]}, default_route=default)
    return [Transformer(str(bert(folder))), Pooling(32, "mean"), router, Normalize()]


def two_encoders(folder, default):
    """Two encoders behind one door."""
    sides = {
        "query": [Transformer(str(bert(folder / "query"))), Pooling(32, "mean")],
        "document": [Transformer(str(xlm_roberta(folder / "document", ["other words"]))), Pooling(32, "cls")],
    }
    return [Router(sides, default_route=default), Normalize()]


def without_prompt(folder, default):
    return [Transformer(str(bert(folder))), Pooling(32, "mean", include_prompt=False), Normalize()]


def made(build, tmp_path, default=None):
    model = SentenceTransformer(modules=build(tmp_path / "parts", default), device="cpu", prompts=PROMPTS)
    model.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    return model.eval()


@pytest.mark.parametrize("build", [heads, two_encoders])
@pytest.mark.parametrize("default", [None, "document"])
def test_queries_and_passages_go_their_own_ways(tmp_path, build, default):
    theirs = made(build, tmp_path, default)
    model = load(str(tmp_path / "model"), device="cpu")
    for role, expected in (("query", theirs.encode_query(TEXTS)), ("passage", theirs.encode_document(TEXTS))):
        np.testing.assert_allclose(encode(model, TEXTS, role, precision="fp32").vectors, expected, atol=2e-6)


def test_ways_that_part_behind_the_pooling_serve_tokens_and_contexts(tmp_path):
    theirs = made(heads, tmp_path, "document")
    reader = ModelEmbedder(load(str(tmp_path / "model"), device="cpu"), precision="fp32")
    for role, expected in (("query", theirs.encode_query(TEXTS)), ("passage", theirs.encode_document(TEXTS))):
        whole, tokens = reader.encoded_with_tokens(TEXTS, role)
        np.testing.assert_allclose(whole, expected, atol=2e-6)
        assert len(tokens) == len(TEXTS)
    within = reader.encoded_within(["blue grass"], ["the sky was blue grass"], "passage")
    other = reader.encoded_within(["blue grass"], ["the sky was blue grass"], "query")
    assert (within @ other.T).item() < 0.9


def test_two_encoders_have_no_tokens_to_compare(tmp_path):
    made(two_encoders, tmp_path)
    model = load(str(tmp_path / "model"), device="cpu")
    with pytest.raises(InputError, match="first module is Router, not a transformers encoder"):
        ModelEmbedder(model).encoded_tokens(TEXTS, "query")
    with pytest.raises(InputError, match="passages in their context"):
        encode_in_context(model, TEXTS, TEXTS)


@pytest.mark.parametrize("build", [heads, without_prompt])
@pytest.mark.parametrize("chunk", [None, 2])
def test_training_embeds_as_encoding_does(tmp_path, build, chunk):
    """Queries, passages, hard negatives, and the other language versions."""
    model = made(build, tmp_path, "document")
    queries, passages = (
        tokenize(model, TEXTS, prompt=PROMPTS[name], length=32, role=role)
        for name, role in (("query", "query"), ("document", "passage"))
    )
    nobody = np.full(4, -1)
    negatives = Negatives(passages, np.arange(5), nobody, np.full((4, 2), np.nan, np.float32), 1)
    collator = TokenCollator(queries, passages, np.arange(4), 0, negatives=negatives, parallel=True)
    batch = collator([{"row": row} for row in (0, 1, 2, 3, 1, 2, 3, 0)])
    with torch.no_grad():
        found = embed_columns(model, [*batch["columns"], *batch["parallel"]], chunk)
    asked, answers = TEXTS, [*TEXTS[1:], TEXTS[0]]
    expected = [model.encode_query(asked), *[model.encode_document(answers)] * 2]
    expected += [model.encode_document(asked), model.encode_query(answers)]
    for column, vectors in zip(found, expected, strict=True):
        np.testing.assert_allclose(column.numpy(), vectors, atol=2e-6)
