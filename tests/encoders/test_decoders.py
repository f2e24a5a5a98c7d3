"""Decoder-only embedders: pooling at the last token, prompts, and vectors that do not depend on what stands beside."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.lareqa import load_lareqa
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load, preset_of
from isoglot.encoders.pooling import is_causal
from isoglot.measuring.evaluating import evaluate
from isoglot.search.searcher import Searcher
from support.models import bert, gemma3, qwen3, xlm_roberta

TEXTS = ["hi", "how high is the mountain?", "Der Berg ist hoch. " * 4, "山", "a"]


def by_hand(folder, text, ending):
    """The hidden state of the last token of one text, alone and without padding, straight from transformers."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ids = tokenizer(text)["input_ids"] + ([tokenizer.convert_tokens_to_ids(ending)] if ending else [])
    with torch.no_grad():
        vector = model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1]
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize(
    ("build", "settings", "ending"),
    [
        (qwen3, {}, "<|im_end|>"),
        (qwen3, {"closes": True}, None),
        (qwen3, {"bare": True}, "<|im_end|>"),
        (gemma3, {}, "<eos>"),
    ],
)
def test_plain_decoders_are_pooled_at_an_end_of_text(tmp_path, build, settings, ending):
    """Also where the tokenizer has a chat template, which dresses nothing here, and no token to pad with."""
    folder = build(tmp_path / "mine", **settings)
    model = load(str(folder), device="cpu")
    found = encode(model, TEXTS, "query", precision="fp32").vectors
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(vector, by_hand(folder, text, ending), atol=2e-6)
    # Whatever stands beside a text, and on whichever side the tokenizer pads.
    for side in ("left", "right"):
        model.tokenizer.padding_side = side
        for text, vector in zip(TEXTS, found, strict=True):
            np.testing.assert_allclose(encode(model, [text], "query", precision="fp32").vectors[0], vector, atol=2e-6)
        np.testing.assert_allclose(model.encode_query(TEXTS), found, atol=2e-6)
    # Cut, a text still has its end.
    ids = model.preprocess(["Berg " * 99], max_length=16)["input_ids"][0].tolist()
    assert len(ids) == 16
    assert ids[-1] == model.preprocess(["a"])["input_ids"][0].tolist()[-1]
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = encode(load(str(tmp_path / "saved"), device="cpu"), TEXTS, "query", precision="fp32").vectors
    np.testing.assert_allclose(again, found, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "build", "query", "passage", "mode"),
    [
        ("Qwen3-Embedding-0.6B", qwen3, "Instruct: {}\nQuery:", "", "lasttoken"),
        ("harrier-oss-v1-270m", gemma3, "Instruct: {}\nQuery: ", "", "lasttoken"),
        ("embeddinggemma-300m", gemma3, "task: search result | query: ", "title: none | text: ", "mean"),
    ],
)
def test_plain_weights_of_known_decoders_have_their_instructions(tmp_path, name, build, query, passage, mode):
    model = load(str(build(tmp_path / name)), device="cpu")
    task = "Given a web search query, retrieve relevant passages that answer the query"
    assert model.prompts["query"] == query.format(task)
    assert model.prompts["document"] == passage
    assert model[1].pooling_mode == mode
    assert preset_of(model).encode_length == 512
    np.testing.assert_allclose(
        encode(model, ["hi"], "query", precision="fp32").vectors, model.encode_query(["hi"]), atol=1e-6
    )


def test_a_folder_that_says_how_is_taken_at_its_word(tmp_path):
    """As Qwen3-Embedding's own folder says it: last token, an instruction before queries; left padding."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    inner = Transformer(str(qwen3(tmp_path / "plain", closes=True)), max_seq_length=128)
    inner.modality_config = {"text": inner.modality_config["text"]}
    made = SentenceTransformer(modules=[inner, Pooling(32, "lasttoken"), Normalize()], device="cpu")
    made.prompts = {"query": "Instruct: find it\nQuery:", "document": ""}
    made.save_pretrained(str(tmp_path / "embedder"), create_model_card=False)
    model = load(str(tmp_path / "embedder"), device="cpu")
    assert model.prompts == {"query": "Instruct: find it\nQuery:", "document": ""}
    found = encode(model, TEXTS, "query", precision="fp32").vectors
    np.testing.assert_allclose(found, made.encode_query(TEXTS), atol=2e-6)
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(
            vector, by_hand(tmp_path / "plain", f"Instruct: find it\nQuery:{text}", None), atol=2e-6
        )
    with_mine = load(str(tmp_path / "embedder"), device="cpu", prompts={"query": "ask: "})
    assert with_mine.prompts == {"query": "ask: ", "document": ""}


def test_a_folder_whose_tokenizer_has_nothing_to_pad_with(tmp_path):
    """As Llama's; Sentence Transformers refuses to encode with it."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    inner = Transformer(str(qwen3(tmp_path / "plain", bare=True)), max_seq_length=128)
    inner.modality_config = {"text": inner.modality_config["text"]}
    made = SentenceTransformer(modules=[inner, Pooling(32, "lasttoken"), Normalize()], device="cpu")
    made.save_pretrained(str(tmp_path / "embedder"), create_model_card=False)
    found = encode(load(str(tmp_path / "embedder"), device="cpu"), TEXTS, "query", precision="fp32").vectors
    for text, vector in zip(TEXTS, found, strict=True):
        np.testing.assert_allclose(vector, by_hand(tmp_path / "plain", text, None), atol=2e-6)


def test_prompts_that_count_for_nothing_in_the_vector(tmp_path):
    """Some folders leave the prompt's tokens out of the mean."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    inner = Transformer(str(bert(tmp_path / "plain")))
    made = SentenceTransformer(modules=[inner, Pooling(32, "mean", include_prompt=False), Normalize()], device="cpu")
    made.prompts = {"query": "who is: ", "document": ""}
    made.save_pretrained(str(tmp_path / "model"), create_model_card=False)
    model = load(str(tmp_path / "model"), device="cpu")
    found = encode(model, ["sky", "blue grass green"], "query", precision="fp32").vectors
    np.testing.assert_allclose(found, model.encode_query(["sky", "blue grass green"]), atol=1e-6)


def test_which_models_are_causal(tmp_path):
    found = {
        name: is_causal(AutoModel.from_pretrained(folder).config)
        for name, folder in {
            "bert": bert(tmp_path / "b"),
            "xlm-r": xlm_roberta(tmp_path / "x"),
            "qwen": qwen3(tmp_path / "q"),
            "gemma": gemma3(tmp_path / "g"),
            "embedding gemma": gemma3(tmp_path / "e", bidirectional=True),
        }.items()
    }
    assert found == {"bert": False, "xlm-r": False, "qwen": True, "gemma": True, "embedding gemma": False}


@pytest.mark.parametrize("build", [qwen3, gemma3])
def test_decoders_are_measured_indexed_and_searched(tmp_path, lareqa_folder, build):
    pytest.importorskip("lancedb")
    from isoglot.cli import run

    folder = build(tmp_path / "mine")
    result = evaluate(str(folder), load_lareqa(lareqa_folder), precision="fp32")
    assert 0 < result.macro("multilingual", "map") <= 1
    assert result.cut == {"query": 0.0, "passage": 0.0, "length": 192}
    docs = tmp_path / "docs.jsonl"
    docs.write_text("".join(json.dumps({"id": f"d{n}", "text": text * 9}) + "\n" for n, text in enumerate(TEXTS)))
    prompts = ["--query-prompt", "find: ", "--passage-prompt", "is: ", "--dtype", "float32"]
    index = str(tmp_path / "index")
    assert run(["index", str(docs), "-o", index, "--model", str(folder), "--length", "64", *prompts]) == 0
    searcher = Searcher.open(index)
    assert searcher.encoder.model.prompts == {"query": "find: ", "document": "is: "}
    assert searcher.search("山" * 9, k=1)[0].id == "d3"
    # The folder with its own prompts gives other vectors.
    with pytest.raises(InputError, match="not the encoder that the index was made with"):
        Searcher.open(index, load(str(folder))).search("x")
