import json
import math

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.data.rows import Row, write_rows
from isoglot.encoders.encoding import encode
from isoglot.encoders.loading import load, preset_of
from isoglot.encoders.presets import Preset, preset_named
from support.models import bert, xlm_roberta

TEXT = "who is the sky"


def by_hand(folder, text, pooling):
    """The vector of one text, straight from transformers."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    encoder = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = encoder(**tokens).last_hidden_state[0]
        vector = hidden.mean(dim=0) if pooling == "mean" else hidden[0]
        if pooling == "pooler":
            vector = torch.tanh(encoder.pooler.dense.weight @ vector + encoder.pooler.dense.bias)
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize(
    ("name", "build", "pooling", "prompt", "longest"),
    [
        ("xlm-roberta-base", xlm_roberta, "mean", "query: ", 512),
        ("xlm-roberta-large", xlm_roberta, "mean", "query: ", 512),
        ("LaBSE", bert, "pooler", "query: ", 256),
        ("multilingual-e5-small", bert, "mean", "query: ", 512),
        ("multilingual-e5-large", xlm_roberta, "mean", "query: ", 512),
        ("bge-m3", xlm_roberta, "cls", "", 513),
    ],
)
def test_plain_weights_of_known_backbones(tmp_path, name, build, pooling, prompt, longest):
    # The tokenizer itself knows no limit, as XLM-R's sentencepiece file does not.
    folder = build(tmp_path / name, max_length=10**30)
    model = load(str(folder), device="cpu")
    assert model.prompts["query"] == prompt
    assert model.max_seq_length == longest
    vector = model.encode_query(TEXT)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(vector, by_hand(folder, prompt + TEXT, pooling), atol=1e-5)
    # Saved, the folder says how it pools, and opens the same under any name.
    model.save_pretrained(str(tmp_path / "copy"), create_model_card=False)
    again = load(str(tmp_path / "copy"), device="cpu")
    np.testing.assert_allclose(again.encode_query(TEXT), vector, atol=1e-6)


def test_a_folder_that_says_how_it_pools_is_taken_at_its_word(tmp_path):
    plain = SentenceTransformer(str(xlm_roberta(tmp_path / "plain")), device="cpu")
    plain.prompts = {"query": "ask: ", "document": "say: "}
    plain.save_pretrained(str(tmp_path / "bge-m3"), create_model_card=False)
    model = load(str(tmp_path / "bge-m3"), device="cpu")
    assert model[1].pooling_mode == "mean"
    assert model.prompts["query"] == "ask: "


def test_an_unknown_folder_is_left_to_the_library(tmp_path):
    model = load(str(bert(tmp_path / "my-labse-experiments")), device="cpu")
    assert [type(module).__name__ for module in model] == ["Transformer", "Pooling"]
    assert model.prompts == {"query": "", "document": ""}
    assert preset_of(model) == Preset("")


def test_labse_without_a_pooler(tmp_path, monkeypatch):
    folder = bert(tmp_path / "LaBSE")
    from isoglot.encoders import loading

    monkeypatch.setattr(loading, "backbone_of", lambda _: object())
    with pytest.raises(InputError, match="pooler"):
        load(str(folder), device="cpu")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("FacebookAI/xlm-roberta-base@e73636d4f797dec63c3081bb6ed5c7b0bb3f2089", "xlm-roberta"),
        ("sentence-transformers/LaBSE", "LaBSE"),
        ("BAAI/bge-m3", "bge-m3"),
        ("intfloat/multilingual-e5-large-instruct", "instruct"),
        ("/cache/models--BAAI--bge-m3/snapshots/5617a9f", "bge-m3"),
        ("cardiffnlp/twitter-xlm-roberta-base-sentiment", ""),
        ("runs/LaBSE-study/model", ""),
    ],
)
def test_names(name, pattern):
    found = preset_named(name).pattern
    assert pattern in found
    assert bool(pattern) == bool(found)


def trained(folder, **settings):
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"verb": "train", "settings": settings}))
    return str(folder)


def test_a_trained_folder_remembers_its_lengths(tmp_path):
    first = trained(tmp_path / "a", model="BAAI/bge-m3", query_length=None, passage_length=700)
    preset = preset_named(first)
    assert (preset.query_length, preset.passage_length, preset.encode_length) == (64, 700, 700)
    second = preset_named(trained(tmp_path / "b", model=first, query_length=32, passage_length=None))
    assert (second.query_length, second.passage_length, second.encode_length) == (32, 700, 700)
    short = preset_named(trained(tmp_path / "c", model="embedded", query_length=32, passage_length=96))
    assert (short.query_length, short.passage_length, short.encode_length) == (32, 96, 192)
    own = trained(tmp_path / "d", model=str(tmp_path / "d"))
    assert preset_named(own).encode_length == 192


def test_encoding_uses_the_remembered_length(tmp_path):
    folder = bert(tmp_path / "m")
    (folder / "run.json").write_text(json.dumps({"verb": "train", "settings": {"model": "x", "passage_length": 300}}))
    text = " ".join(["sky blue grass"] * 200)
    assert encode(load(str(folder), device="cpu"), [text], "passage").tokens == 300


def test_audit_reports_lengths_by_the_preset(tmp_path, capsys):
    write_rows([Row("a", "en", "q", "sky " * 400, "d"), Row("b", "en", "r", "grass", "d")], tmp_path / "r.jsonl")
    command = ["data", "audit", str(tmp_path / "r.jsonl"), "--batch-size", "2", "--batches", "2", "--json"]
    assert run([*command, "--model", str(bert(tmp_path / "LaBSE"))]) == 0
    facts = json.loads(capsys.readouterr().out)
    own = facts["tokens"]["languages"]["en"]
    assert own["cut_passages"] == 1
    assert math.isclose(own["premium"], 1.0)
