"""LoRA: adapters that train, resume, merge and load; encoders and decoders, chunks and processes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import from_rows
from isoglot.data.prepared import open_prepared, prepare
from isoglot.encoders.loading import backbone_of, load
from isoglot.encoders.packing import can_pack
from isoglot.measuring.evaluating import evaluate
from isoglot.search.index.building import build_index
from isoglot.search.searcher import Searcher
from isoglot.training.losses.weighted import GroupMaskedInfoNCE
from isoglot.training.run import train
from isoglot.training.settings import LoraSettings, TrainSettings, flat_settings
from support.encoders import tiny_encoder
from support.models import gemma3, qwen3
from support.ranks import run_ranks
from support.rows import tiny_rows

LORA = LoraSettings(rank=4, dropout=0.1)
FAST = TrainSettings(
    batch_size=4, max_steps=6, save_steps=2, warmup_steps=1, lr=1e-2, device="cpu", precision="fp32", log_steps=1,
    lora=LORA,
)  # fmt: skip
TEXTS = ["Wie hoch ist der Berg?", "第3座山有多高？"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with `rows` and three models: `bert` (with dropout), `qwen`, `gemma`."""
    home = tmp_path_factory.mktemp("lora")
    tiny_encoder(home, dropout=0.1, length=96)
    (home / "model").rename(home / "bert")
    qwen3(home / "qwen")
    gemma3(home / "gemma")
    prepare([tiny_rows(home / "rows.jsonl")], home / "rows", show_progress=False)
    return home


def run(place, model, folder, settings=FAST, **more):
    """Train; `place / model`, or a model."""
    named = str(place / model) if isinstance(model, str) else model
    return train(named, open_prepared(place / "rows"), folder, settings, **more)


def weights(folder):
    return {name: value.clone() for name, value in load(str(folder), device="cpu").state_dict().items()}


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "training.jsonl").read_text().splitlines()]


def stop_at(monkeypatch, step):
    plain, calls = GroupMaskedInfoNCE.measure, []

    def stopping(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == step:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(GroupMaskedInfoNCE, "measure", stopping)


@pytest.fixture(scope="module")
def trained(place):
    return {name: run(place, name, place / f"trained-{name}") for name in ("bert", "qwen", "gemma")}


@pytest.mark.parametrize("name", ["bert", "qwen", "gemma"])
def test_the_folder_holds_the_adapter_and_loads(place, trained, name):
    folder = trained[name]
    assert not (folder / "model.safetensors").exists()
    held = load_file(folder / "adapter_model.safetensors")
    assert held
    assert all("lora_" in key for key in held)
    before, after = weights(place / name), weights(folder)
    assert before.keys() == after.keys()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    # Every linear layer of the blocks, and nothing else (the pooler of mean-pooled BERT gets no gradient).
    assert len(changed) == {"bert": 12, "qwen": 14, "gemma": 14}[name]
    assert not any("embed" in key or "norm" in key.lower() for key in changed)
    assert np.isfinite(load(str(folder), device="cpu").encode(TEXTS)).all()


@pytest.mark.parametrize("name", ["bert", "qwen"])
def test_an_adapter_is_what_peft_reads(place, trained, name):
    from peft import PeftModel
    from transformers import AutoModel

    base = AutoModel.from_pretrained(str(place / name)).eval()
    adapted = PeftModel.from_pretrained(base, str(trained[name])).eval()
    ours = backbone_of(load(str(trained[name]), device="cpu")).eval()
    given = {"input_ids": torch.arange(5, 17)[None], "attention_mask": torch.ones(1, 12, dtype=torch.long)}
    with torch.no_grad():
        theirs, mine = adapted(**given).last_hidden_state, ours(**given).last_hidden_state
        plain = AutoModel.from_pretrained(str(place / name)).eval()(**given).last_hidden_state
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain, theirs, atol=1e-3)


@pytest.mark.parametrize("name", ["bert", "qwen"])
def test_a_resumed_run_ends_with_the_same_bits(place, trained, name, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        stop_at(patched, 6)
        with pytest.raises(KeyboardInterrupt):
            run(place, name, tmp_path)
    checkpoint = tmp_path / "checkpoints" / "checkpoint-4"
    assert all("lora_" in key for key in load_file(checkpoint / "trainable.safetensors"))
    with pytest.raises(InputError, match=r"lora_rank \(4 then, 2 now\)"):
        run(place, name, tmp_path, replace(FAST, lora=LoraSettings(rank=2, dropout=0.1)), resume=True)
    run(place, name, tmp_path, resume=True)
    first, again = (load_file(home / "adapter_model.safetensors") for home in (trained[name], tmp_path))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("name", ["qwen", "gemma"])
def test_decoders_train_without_adapters_and_resume(place, name, tmp_path, monkeypatch):
    settings = replace(FAST, lora=None, lr=1e-3)
    run(place, name, tmp_path / "whole", settings)
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        with pytest.raises(KeyboardInterrupt):
            run(place, name, tmp_path / "resumed", settings)
    run(place, name, tmp_path / "resumed", settings, resume=True)
    first, again = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not can_pack(backbone_of(load(str(tmp_path / "whole"), device="cpu")))


def test_an_adapter_is_evaluated_as_a_model(place, trained):
    benchmark = from_rows(open_prepared(place / "rows"), "rows")
    results = [evaluate(load(str(folder), device="cpu"), benchmark) for folder in (place / "qwen", trained["qwen"])]
    before, after = (result.macro("multilingual", "map") for result in results)
    assert 0 < before != after > 0


def test_merged_it_is_a_plain_folder(place, trained, tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = run(place, "bert", tmp_path, replace(FAST, lora=replace(LORA, merge=True)))
    assert not (folder / "adapter_config.json").exists()
    found = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(found, load(str(trained["bert"]), device="cpu").encode(TEXTS), atol=1e-5)


def test_merged_the_token_table_may_train_too(place, tmp_path):
    settings = replace(FAST, embeddings="used", lora=replace(LORA, merge=True), max_steps=2)
    before, after = weights(place / "bert"), weights(run(place, "bert", tmp_path, settings))
    (table,) = (key for key in before if "word_embeddings" in key)
    changed = (before[table] != after[table]).any(dim=1)
    assert 0 < int(changed.sum()) < len(changed)
    with pytest.raises(InputError, match=r"embeddings all: an adapter holds no token table; give `lora\.merge`"):
        replace(FAST, embeddings="all")
    assert (FAST.token_table, replace(FAST, lora=None).token_table) == ("freeze", "used")


def test_a_model_object_is_trained_where_it_is(place, tmp_path):
    model = load(str(place / "bert"), device="cpu")
    run(place, model, tmp_path / "object")
    np.testing.assert_allclose(model.eval().encode(TEXTS), load(str(tmp_path / "object")).encode(TEXTS), atol=1e-5)
    merged = load(str(place / "bert"), device="cpu")
    run(place, merged, tmp_path / "merged", replace(FAST, lora=replace(LORA, merge=True)))
    assert all(parameter.requires_grad for parameter in merged.parameters())
    assert not any("lora" in name for name, _ in merged.named_parameters())
    nowhere = load(str(tmp_path / "object"), device="cpu")
    with pytest.raises(InputError, match=r"these are in no folder and on no hub; give `lora\.merge`"):
        run(place, nowhere, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["bert", "qwen"])
def test_grad_cache_trains_the_same(place, name, tmp_path):
    still = replace(FAST, lora=LoraSettings(rank=4), max_steps=3)
    chunks = replace(still, chunk=2)
    run(place, name, tmp_path / "kept", chunks)
    run(place, name, tmp_path / "cached", replace(still, grad_cache=2))
    assert losses(tmp_path / "cached") == pytest.approx(losses(tmp_path / "kept"), rel=1e-5)


def test_two_processes_train_as_one(place):
    settings = replace(FAST, lora=LoraSettings(rank=4), max_steps=3)
    run(place, "qwen", place / "alone", replace(settings, batch_size=8))
    run_ranks(run, 2, lambda *_: (place, "qwen", place / "together", settings))
    assert losses(place / "together") == pytest.approx(losses(place / "alone"), rel=1e-3)


def test_settings_name_what_cannot_work(place, tmp_path):
    for more, message in (
        ({"rank": 0}, r"^lora\.rank 0"),
        ({"rank": 4, "alpha": -1.0}, r"^lora\.alpha -1"),
        ({"rank": 4, "dropout": 1.0}, r"^lora\.dropout 1"),
        ({"rank": 4, "targets": " , "}, r"^lora\.targets"),
    ):
        with pytest.raises(InputError, match=message):
            LoraSettings(**more)
    with pytest.raises(InputError, match=r"lora.targets q_prj: no such layers; there are: .*q_proj"):
        run(place, "qwen", tmp_path, replace(FAST, lora=LoraSettings(rank=4, targets="q_prj")))
    flat = flat_settings(replace(FAST, lora=LoraSettings(rank=4, targets="q_proj, v_proj")))
    assert (flat["lora_rank"], flat["lora_targets"], flat["embeddings"]) == (4, ["q_proj", "v_proj"], "freeze")


def test_a_base_that_is_gone_is_named(place, trained, tmp_path):
    record = json.loads((trained["qwen"] / "adapter_config.json").read_text())
    assert record["base_model_name_or_path"] == str(place / "qwen")
    for path in trained["qwen"].iterdir():
        if path.is_file() and path.name not in ("run.json", "adapter_config.json"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    record["base_model_name_or_path"] = str(place / "gone")
    (tmp_path / "adapter_config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"adapts model .*gone"):
        load(str(tmp_path), device="cpu")


def test_adapters_may_be_asked_for_beside_the_settings(place, tmp_path):
    plain = replace(FAST, lora=None, max_steps=2)
    beside = run(place, "bert", tmp_path / "beside", plain, lora=LORA)
    within = run(place, "bert", tmp_path / "within", replace(plain, lora=LORA))
    assert losses(beside) == losses(within)
    assert (beside / "adapter_config.json").exists()
    for how, words in (
        ({"settings": FAST, "lora": LoraSettings(rank=2)}, "lora: the settings have a different lora"),
        ({"lora": {"rank": 4}}, "lora: given as dict; expected a LoraSettings"),
        ({"settings": {"max_steps": 2}}, "settings: given as dict; expected a TrainSettings"),
        ({"select_on": "xquad-r"}, "select_on: given as str; expected prepared rows, a benchmark"),
    ):
        with pytest.raises(InputError, match=words):
            run(place, "bert", tmp_path / "refused", **how)
    assert not (tmp_path / "refused").exists()


def test_an_adapter_of_a_trained_object_is_on_top_of_that_training(place, tmp_path):
    """Its base is where the trained weights are, not where the object was loaded from."""
    model = load(str(place / "bert"), device="cpu")
    run(place, model, tmp_path / "full", replace(FAST, lora=None))
    run(place, model, tmp_path / "adapter")
    np.testing.assert_allclose(
        load(str(tmp_path / "adapter"), device="cpu").encode(TEXTS), model.encode(TEXTS), atol=1e-5
    )
    build_index([{"id": "de", "text": TEXTS[0]}], tmp_path / "index", model)
    assert [hit.id for hit in Searcher.open(tmp_path / "index").search(TEXTS[0])] == ["de"]  # opens the trained model


def test_an_object_with_an_adapter_is_not_trained_as_if_it_had_none(place, tmp_path):
    """Another adapter would begin at the base again, and full training would write what nothing loads."""
    model = load(str(place / "bert"), device="cpu")
    run(place, model, tmp_path / "first")
    before = model.encode(TEXTS)
    for lora in (None, LORA, replace(LORA, merge=True)):
        with pytest.raises(InputError, match="model: holds the adapter of an earlier training"):
            run(place, model, tmp_path / "second", replace(FAST, lora=lora))
    np.testing.assert_array_equal(model.encode(TEXTS), before)
    again = load(str(tmp_path / "first"), device="cpu")
    run(place, again, tmp_path / "second", replace(FAST, lora=None))


@pytest.mark.parametrize("lora", [None, LORA], ids=["full", "adapter"])
def test_an_object_can_be_trained_after_an_interruption(place, tmp_path, monkeypatch, lora):
    """In a notebook, the model is still there."""
    model = load(str(place / "bert"), device="cpu")
    names = list(model.state_dict())
    with monkeypatch.context() as patched:
        stop_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            run(place, model, tmp_path / "stopped", replace(FAST, lora=lora))
    assert list(model.state_dict()) == names
    assert all(weights.requires_grad for weights in model.parameters())
    run(place, model, tmp_path / "again", replace(FAST, lora=None))
    np.testing.assert_allclose(
        load(str(tmp_path / "again"), device="cpu").encode(TEXTS), model.encode(TEXTS), atol=1e-5
    )
