"""An encoder opened without the training stack gives the vectors of the one opened in full, or is not opened."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.encoders.light import open_light
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.serve.model_facts import TokenIdsError, decoded, dimensions_of
from support import models

CPU = ModelOptions(device="cpu", precision="fp32")
TEXTS = ["sky", "What is blue? The sky was blue and the grass was green.", "eins zwei drei", "", "Zu\u0308rich",
         "ένα δύο τρία " * 40, "What is blue?" * 200, "sky"]  # fmt: skip


def saved(folder):
    """A plain transformers folder as isoglot saves it, with what Sentence Transformers needs to know."""
    model = open_embedder(str(folder), CPU).model
    model.save_pretrained(str(folder) + "-whole", create_model_card=False)
    return str(folder) + "-whole"


@pytest.fixture(params=["tiny", "xlm-r", "first token"])
def folder(request, tmp_path, tiny_model):
    if request.param == "tiny":
        return str(tiny_model)
    if request.param == "xlm-r":
        return saved(models.xlm_roberta(tmp_path / "multilingual-e5-tiny"))
    return saved(models.bert(tmp_path / "bge-m3"))


@pytest.mark.parametrize("role", ["query", "passage"])
@pytest.mark.parametrize("change", [{}, {"length": 12}, {"query_prompt": "ask: "}, {"precision": "bf16"}])
def test_vectors_are_those_of_the_model_opened_in_full(folder, role, change):
    options = ModelOptions(**{"device": "cpu", "precision": "fp32", **change})
    light, full = open_light(folder, options), open_embedder(folder, options)
    assert (light.name, light.length) == (full.name, full.length)
    found, wanted = light.encoded(TEXTS, role), full.encoded(TEXTS, role)
    if "precision" in change:
        assert (found.vectors * wanted.vectors).sum(axis=1).min() > 0.9999
    else:
        np.testing.assert_allclose(found.vectors, wanted.vectors, atol=2e-6)
    assert (found.texts, found.tokens, found.length) == (wanted.texts, wanted.tokens, wanted.length)
    assert found.was_cut.tolist() == wanted.was_cut.tolist()
    assert found.cut


def test_a_server_is_told_the_same_of_it(folder, tmp_path):
    light, full = open_light(folder, CPU), open_embedder(folder, CPU)
    some = light.encoded(TEXTS[:1], "passage")
    assert dimensions_of(light, some) == dimensions_of(full, some) == (some.vectors.shape[1],)
    ids = full.model.tokenizer("a river and a house")["input_ids"]
    assert decoded(light, [ids, ids[:2]]) == decoded(full, [ids, ids[:2]])
    for encoder in (light, full):
        with pytest.raises(TokenIdsError, match="does not have"):
            decoded(encoder, [ids, [10**6]])
    shutil.copytree(folder, tmp_path / "cut")
    config = tmp_path / "cut" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"matryoshka_dimensions": [4, 8]}))
    cut = open_light(str(tmp_path / "cut"), CPU)
    assert dimensions_of(cut, some) == (4, 8, some.vectors.shape[1])


def test_threads_share_one(tiny_model):
    light = open_light(str(tiny_model), CPU)
    alone = np.concatenate([light([text], "query") for text in TEXTS])
    with ThreadPoolExecutor(4) as pool:
        found = np.concatenate(list(pool.map(lambda text: light([text], "query"), TEXTS * 3)))
    np.testing.assert_allclose(found, np.concatenate([alone] * 3), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", {"model_type": "electra"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"is_decoder": True}),
        ("tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"}),
        ("tokenizer_config.json", {"truncation_side": "left"}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("config_sentence_transformers.json", {"truncate_dim": 8}),
        ("1_Pooling/config.json", {"pooling_mode": "max"}),
        ("1_Pooling/config.json", {"include_prompt": False}),
        ("model.safetensors", None),
        ("tokenizer.json", None),
        ("modules.json", [{"type": "Transformer", "path": ""}]),
        ("adapter_config.json", {"peft_type": "LORA"}),
    ],
)
def test_folders_that_say_more_are_left_to_others(tiny_model, tmp_path, name, change):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    path = folder / name
    if change is None:
        path.unlink()
    elif isinstance(change, list):
        path.write_text(json.dumps(change))
    else:
        before = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**before, **change}))
    assert open_light(str(folder), CPU) is None


@pytest.mark.parametrize(
    "options",
    [{"dtype": "bfloat16"}, {"model_kwargs": "{}"}, {"revision": "main"}, {"device": "meta"},
     {"trust_remote_code": True}],
)  # fmt: skip
def test_options_for_the_training_stack_are_left_to_it(tiny_model, options):
    assert open_light(str(tiny_model), ModelOptions(**options)) is None


def test_a_model_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such model folder"):
        open_light(str(tmp_path / "gone"), CPU)
    assert open_light(str(models.bert(tmp_path / "plain")), CPU) is None
