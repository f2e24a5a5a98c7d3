import json
import threading
from functools import partial

import numpy as np
import pytest
import torch
from transformers import AutoModel

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoder
from isoglot.encoders.encoding import ModelEmbedder, encode
from isoglot.encoders.endpoint import Endpoint
from isoglot.encoders.loading import load, preset_of
from isoglot.encoders.opening import open_embedder, open_on
from isoglot.encoders.options import LoadOptions, ModelOptions
from isoglot.encoders.to_disk import Entry, encode_shards
from isoglot.encoders.vector_files import read_shards
from support.models import bert

TEXTS = [f"Satz {'und noch einer ' * (n % 5)}{n}" for n in range(40)]


def test_a_name_a_model_and_a_function_are_opened_alike(tiny_model):
    by_name = open_embedder(str(tiny_model), ModelOptions(precision="fp32"))
    by_model = open_embedder(load(str(tiny_model)), ModelOptions(precision="fp32"))
    by_function = open_embedder(lambda texts, role: by_name(texts, role) * 7)
    assert all(isinstance(encoder, Encoder) for encoder in (by_name, by_model, by_function))
    for role in ("query", "passage"):
        expected = by_name(TEXTS, role)
        np.testing.assert_allclose(by_model(TEXTS, role), expected, atol=1e-6)
        np.testing.assert_allclose(by_function(TEXTS, role), expected, atol=1e-6)
    assert by_name.name == str(tiny_model)
    assert not np.allclose(by_name(["a"], "query"), by_name(["a"], "passage"), atol=1e-3)


def test_an_endpoint_is_an_embedder(tmp_path):
    endpoint = Endpoint("http://127.0.0.1:9/v1", "m", tmp_path / "cache")
    assert isinstance(endpoint, Encoder)
    assert open_embedder(endpoint) is endpoint
    with pytest.raises(InputError, match="length 64: an endpoint decides that by itself"):
        open_embedder("endpoint:http://127.0.0.1:9/v1#m", ModelOptions(length=64))


def test_options_of_loading(tmp_path):
    folder = bert(tmp_path / "multilingual-e5-small")
    AutoModel.from_pretrained(folder).to(torch.bfloat16).save_pretrained(folder)
    assert load(str(folder)).dtype == torch.bfloat16
    assert load(str(folder), dtype="float32").dtype == torch.float32
    eager = load(str(folder), model_kwargs={"attn_implementation": "eager"})
    assert eager[0].auto_model.config._attn_implementation == "eager"
    prompted = load(str(folder), prompts={"passage": "dokument: "}, length=16)
    assert prompted.prompts == {"query": "query: ", "document": "dokument: "}
    assert preset_of(prompted).encode_length == 16
    assert encode(prompted, ["sky " * 50], "passage").tokens == 16
    with pytest.raises(InputError, match="'document' is not a role; expected query or passage"):
        load(str(folder), prompts={"document": ""})
    with pytest.raises(InputError, match="revision 'b' differs from the one in the name"):
        load("org/name@a", revision="b")


def test_code_that_comes_with_a_model_runs_only_where_it_is_trusted(tmp_path):
    folder = bert(tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own-bert", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(
        "from transformers import BertConfig, BertModel\n\n\n"
        "class OwnConfig(BertConfig):\n    model_type = 'own-bert'\n\n\n"
        "class OwnModel(BertModel):\n    config_class = OwnConfig\n"
    )
    with pytest.raises(InputError, match="own: cannot be loaded"):
        load(str(folder))
    model = load(str(folder), trust_remote_code=True)
    assert type(model[0].auto_model).__name__ == "OwnModel"
    assert encode(model, ["sky"], "query").vectors.shape == (1, 32)


def test_recorded_options_fill_what_is_not_given():
    given = ModelOptions(dtype="float16", query_prompt="", length=9)
    record = ModelOptions(dtype="bfloat16", query_prompt="q: ", passage_prompt="p: ", revision="r", length=5).record()
    filled = given.filled(json.loads(json.dumps(record)))
    assert filled == ModelOptions(dtype="float16", query_prompt="", passage_prompt="p: ", revision="r", length=9)
    assert LoadOptions().record() == {}
    for text, says in (("{", "not JSON"), ("[1]", "expected an object")):
        with pytest.raises(InputError, match=says):
            LoadOptions(model_kwargs=text).arguments()
    with pytest.raises(InputError, match="put it in HF_TOKEN") as caught:
        LoadOptions(model_kwargs='{"token": "hf_secret"}').arguments()
    assert "hf_secret" not in str(caught.value)


@pytest.mark.parametrize(
    "recorded",
    [
        '{"trust_remote_code": true}',
        '{"attn_implementation": "some/kernels"}',
        '{"dtype": "auto", "offload_folder": "/"}',
    ],
)
def test_who_made_an_index_cannot_have_code_run_by_what_it_records(recorded):
    with pytest.raises(InputError, match=r"may run code of others.*`model_kwargs` yourself"):
        ModelOptions().filled({"model_kwargs": recorded})
    assert ModelOptions(model_kwargs="{}").filled({"model_kwargs": recorded}).model_kwargs == "{}"
    plain = '{"attn_implementation": "eager"}'
    assert ModelOptions().filled({"model_kwargs": plain}).model_kwargs == plain


def test_what_is_cut_is_counted(tiny_model):
    """Beside the text two special tokens and the prompt's seven bytes: 16 tokens hold 7 more bytes."""
    model = load(str(tiny_model))
    found = encode(model, ["1234567", "12345678", "12345678", "x" * 5000, ""], "query", length=16, precision="fp32")
    assert found.was_cut.tolist() == [False, True, True, True, False]
    assert (found.cut, found.cut_share, found.length, found.tokens) == (3, 0.6, 16, 16 * 3 + 9)
    # Nothing but a prompt and very long, a text is cut though it holds few tokens.
    assert encode(model, ["\u200b" * 16 * 300], "query", length=16).cut == 1


def test_a_vector_does_not_depend_on_the_texts_beside_it(tiny_model):
    model = load(str(tiny_model))
    together = encode(model, TEXTS, "passage", precision="fp32").vectors
    for number in (0, 7, 39):
        alone = encode(model, [TEXTS[number]], "passage", precision="fp32").vectors[0]
        np.testing.assert_allclose(alone, together[number], atol=1e-6)
    np.testing.assert_allclose(
        encode(model, TEXTS[::-1], "passage", precision="fp32").vectors[::-1], together, atol=1e-6
    )


def test_composed_and_decomposed_texts_have_one_vector(tiny_model):
    found = encode(load(str(tiny_model)), ["Zu\u0308rich", "Z\u00fcrich", "\u1112\u1161\u11ab\u3131"], "query")
    np.testing.assert_array_equal(found.vectors[0], found.vectors[1])
    assert found.texts == 2


def test_threads_share_a_model(tiny_model):
    model = load(str(tiny_model))
    expected = [encode(model, [text], "query", precision="fp32").vectors[0] for text in TEXTS]
    found = {}

    def ask(number):
        for own in range(number, len(TEXTS), 4):
            found[own] = encode(model, [TEXTS[own]], "query", length=None if own % 2 else 64, precision="fp32").vectors[
                0
            ]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, vector in found.items():
        np.testing.assert_allclose(vector, expected[number], atol=1e-6)
    assert len(found) == len(TEXTS)


def test_several_devices_give_the_vectors_of_one(tiny_model, tmp_path, warm_processes):
    alone = open_embedder(str(tiny_model), ModelOptions(length=24, precision="fp32"))
    texts = [*TEXTS, *TEXTS[:3]]
    expected = alone.encoded(texts, "passage")
    with open_embedder(str(tiny_model), ModelOptions(length=24, precision="fp32"), devices="cpu,cpu") as pool:
        found = pool.encoded(texts, "passage")
        assert pool.encoded([], "query").vectors.shape == (0, 32)
        assert isinstance(pool, Encoder)
        assert pool.device == "cpu, cpu"
        # Its tokenizer is at hand here too.
        assert pool.model.prompts == {"query": "query: ", "document": "passage: "}
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)
    assert (found.texts, found.tokens, found.length) == (expected.texts, expected.tokens, 24)
    assert found.was_cut.tolist() == expected.was_cut.tolist()
    assert 0 < found.cut < len(texts)
    # Shards on disk take the same road.
    entries = [Entry(str(number), "de", "passage", text) for number, text in enumerate(TEXTS)]
    opener = partial(open_on, str(tiny_model), ModelOptions(length=24, precision="fp32"))
    encode_shards(entries, tmp_path, opener, {}, size=10, kind="float32", devices=("cpu", "cpu"))
    stored = {key: row for shard in read_shards(tmp_path) for key, row in zip(shard.ids, shard.vectors, strict=True)}
    for number in range(len(TEXTS)):
        np.testing.assert_allclose(stored[str(number)], expected.vectors[number], atol=1e-6)
    assert json.loads((tmp_path / "complete.json").read_text()) == {
        "shards": 4,
        "vectors": 40,
        "length": 24,
        "cut": int(expected.was_cut[:40].sum()),
    }


def test_devices_that_cannot_be(tiny_model):
    with pytest.raises(InputError, match="devices toaster"):
        open_embedder(str(tiny_model), devices="toaster")
    with pytest.raises(InputError, match="no such model folder"):
        open_embedder("./no", devices="cpu,cpu")
    with pytest.raises(InputError, match="device cpu: `devices` were given too"):
        open_embedder(str(tiny_model), ModelOptions(device="cpu"), devices="cpu,cpu")
    with pytest.raises(InputError, match="only models that are opened here take several"):
        open_embedder(lambda texts, role: texts, devices="cpu,cpu")
    assert open_embedder(str(tiny_model), devices="cpu").device == "cpu"


def test_commands_say_what_they_cut(tiny_model, rows_file, tmp_path, capsys):
    words = [
        "evaluate",
        "--benchmark",
        "rows",
        "--rows",
        str(rows_file),
        "--langs",
        "de,en",
        "--model",
        str(tiny_model),
    ]
    assert run([*words, "-o", str(tmp_path / "preset")]) == 0
    said = capsys.readouterr()
    assert "texts are read up to 64 tokens; the model's preset, --length gives another number" in said.err
    assert "longer than" not in said.out
    assert run([*words, "-o", str(tmp_path / "short"), "--length", "20", "--query-prompt", "", "--json"]) == 0
    said = capsys.readouterr()
    record = json.loads(said.out)
    assert "texts are read up to 20 tokens\n" in said.err
    assert record["cut"] == {"query": 1.0, "passage": 1.0, "length": 20}
    assert "100.0% of the query texts and 100.0% of the passage texts are longer than 20 tokens" in record["notes"][-1]
    settings = json.loads((tmp_path / "short" / "run.json").read_text())["settings"]
    assert (settings["length"], settings["prompts"]) == (20, {"query": ""})
    assert run([*words, "-o", str(tmp_path / "odd"), "--model-kwargs", "{"]) == 2
    assert "--model-kwargs {: not JSON" in capsys.readouterr().err


def test_model_embedders_refuse_what_cannot_be(tiny_model):
    model = load(str(tiny_model))
    with pytest.raises(InputError, match="length 3: expected at least 4"):
        ModelEmbedder(model, length=3)
    with pytest.raises(InputError, match="precision 'fp8'"):
        ModelEmbedder(model, precision="fp8")
