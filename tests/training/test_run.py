import json
import math

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from isoglot.core.errors import InputError, IsoglotError
from isoglot.data.prepared import prepare
from isoglot.encoders.loading import backbone_of, load
from isoglot.encoders.weights_files import model_checksum
from isoglot.training.run import train
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings, flat_settings

FAST = {"batch_size": 4, "max_steps": 6, "warmup_steps": 1, "lr": 1e-3, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def rows(rows_file, tmp_path_factory):
    return prepare([rows_file], tmp_path_factory.mktemp("train") / "rows", show_progress=False)


@pytest.fixture(scope="module")
def trained(rows, tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "model"
    folder.mkdir()
    settings = TrainSettings(Sampling("hybrid", alpha=0.25), **FAST, save_steps=0)
    assert train(str(tiny_model), rows, folder, settings) == folder
    return folder, settings


def losses_of(folder):
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def weights(folder):
    return {name: value.clone() for name, value in load(str(folder), device="cpu").state_dict().items()}


def test_the_folder_is_a_plain_sentence_transformer(trained, tiny_model):
    folder, _ = trained
    model = SentenceTransformer(str(folder), device="cpu")
    assert model.prompts == {"query": "query: ", "document": "passage: "}
    vectors = model.encode_query(["Wie hoch ist der Berg?", "第3座山有多高？"])
    assert vectors.shape == (2, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    table = backbone_of(model).get_input_embeddings()
    assert type(table) is torch.nn.Embedding
    before, after = weights(tiny_model), weights(folder)
    assert before.keys() == after.keys()
    (name,) = (key for key in before if "word_embeddings" in key)
    changed = (before[name] != after[name]).any(dim=1)
    # Only tokens that the rows use: no byte that UTF-8 never holds.
    unused = {model.tokenizer.convert_tokens_to_ids(piece) for piece in ("<mask>", "<unk>")}
    assert 20 < int(changed.sum()) < len(changed)
    assert not any(bool(changed[number]) for number in unused)
    assert any(bool((before[key] != after[key]).any()) for key in before if "layer.1" in key)


def test_run_json_has_every_setting(trained, rows, tiny_model):
    folder, settings = trained
    record = json.loads((folder / "run.json").read_text())
    settings = {"model": str(tiny_model), "rows": rows.checksum, "processes": 1, **flat_settings(settings)}
    assert record["settings"] == settings | {"weights": model_checksum(str(tiny_model))["model"]}
    assert record["settings"]["alpha"] == 0.25
    assert (record["verb"], record["seed"], record["regime"]) == ("train", 0, "hybrid-0.25")
    assert record["data"] == {"rows": rows.checksum}
    assert record["precision"] == "fp32"
    assert record["languages"] == ["ar", "de", "en", "hi", "zh"]
    for name in ("isoglot", "python", "platform", "packages", "git", "device", "seconds"):
        assert name in record
    assert record["packages"]["numpy"] == np.__version__


def test_the_card_states_settings_and_holds_no_rows(trained, rows):
    folder, settings = trained
    card = (folder / "README.md").read_text(encoding="utf-8")
    for name, value in flat_settings(settings).items():
        assert f"| {name} | {value} |" in card
    assert "hybrid-0.25" in card
    texts = set(rows.column("query")) | set(rows.passages())
    assert not any(text in path.read_text(encoding="utf-8") for path in folder.glob("*.md") for text in texts)
    assert not any(text in (folder / "run.json").read_text(encoding="utf-8") for text in texts)


def test_no_checkpoint_is_left(trained):
    folder, _ = trained
    assert not (folder / "checkpoints").exists()
    assert {"run.json", "README.md", "modules.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("regime", ["x-x-mono", "x-y", "x-x", "en-en"])
def test_every_regime_trains(rows, tiny_model, tmp_path, regime):
    settings = TrainSettings(Sampling(regime), **{**FAST, "max_steps": 10, "embeddings": "all"}, save_steps=0)
    train(str(tiny_model), rows, tmp_path, settings)
    assert all(math.isfinite(loss) for loss in losses_of(tmp_path))


def test_training_lowers_the_loss(rows, tiny_model, tmp_path):
    settings = TrainSettings(Sampling("x-x-mono"), **{**FAST, "max_steps": 60, "lr": 3e-3}, save_steps=0)
    train(str(tiny_model), rows, tmp_path, settings)
    losses = losses_of(tmp_path)
    assert len(losses) == 6
    assert losses[-1] < losses[0] - 0.1


def test_training_is_reproducible(rows, tiny_model, tmp_path, trained):
    folder, settings = trained
    train(str(tiny_model), rows, tmp_path, settings)
    first, again = weights(folder), weights(tmp_path)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_run_that_was_stopped_goes_on_where_it_was(rows, tiny_model, tmp_path, trained, monkeypatch):
    from isoglot.training.losses.weighted import GroupMaskedInfoNCE

    folder, settings = trained
    settings = TrainSettings(settings.sampling, **FAST, save_steps=2)
    plain, calls = GroupMaskedInfoNCE.measure, []

    def stopping(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(GroupMaskedInfoNCE, "measure", stopping)
    with pytest.raises(KeyboardInterrupt):
        train(str(tiny_model), rows, tmp_path, settings)
    assert (tmp_path / "checkpoints" / "checkpoint-4").is_dir()
    assert not (tmp_path / "run.json").exists()
    with pytest.raises(
        InputError, match=r"unfinished training run; give `resume` to continue it, `overwrite` to start again"
    ):
        train(str(tiny_model), rows, tmp_path, settings)
    assert (tmp_path / "checkpoints" / "checkpoint-4").is_dir()

    other = TrainSettings(settings.sampling, **{**FAST, "lr": 2e-3}, save_steps=2)
    with pytest.raises(InputError, match=r"checkpoint-4: made with other settings: lr .*; give the same"):
        train(str(tiny_model), rows, tmp_path, other, resume=True)

    mark = tmp_path / "checkpoints" / "checkpoint-4" / "complete.json"
    record = json.loads(mark.read_text())
    assert 0 < record["seconds"] < 600
    mark.write_text(json.dumps({**record, "seconds": 5000.0}))
    train(str(tiny_model), rows, tmp_path, settings, resume=True)
    # Step 6 was interrupted, 5 and 6 were done again.
    assert len(calls) == 6 + 2
    assert 5000 < json.loads((tmp_path / "run.json").read_text())["seconds"] < 5600
    first, again = weights(folder), weights(tmp_path)
    for name in first:
        torch.testing.assert_close(first[name], again[name], atol=1e-6, rtol=1e-5)

    train(str(tiny_model), rows, tmp_path, settings, resume=True)
    assert len(calls) == 8


def test_a_checkpoint_that_was_not_finished_is_passed_over(rows, tiny_model, tmp_path):
    unfinished = tmp_path / "checkpoints" / "checkpoint-4"
    unfinished.mkdir(parents=True)
    (unfinished / "model.safetensors").write_bytes(b"half")
    train(str(tiny_model), rows, tmp_path, TrainSettings(**FAST), resume=True)
    assert (tmp_path / "run.json").is_file()


def test_a_finished_run_with_other_settings_is_refused(rows, tiny_model, trained):
    folder, settings = trained
    other = TrainSettings(settings.sampling, **{**FAST, "max_steps": 7}, save_steps=0)
    before = contents(folder)
    with pytest.raises(InputError, match="made with other settings: max_steps"):
        train(str(tiny_model), rows, folder, other, resume=True)
    with pytest.raises(InputError, match=r"no-such\.jsonl"):
        train(str(tiny_model), "no-such.jsonl", folder, settings, resume=True)
    assert contents(folder) == before  # its log, too
    assert not (folder / "checkpoints").exists()


@pytest.mark.parametrize("verb", ["evaluate", "average"])
def test_what_is_no_training_cannot_be_gone_on_with(rows, tiny_model, tmp_path, verb):
    (tmp_path / "run.json").write_text(json.dumps({"verb": verb, "settings": {"model": "some"}}))
    with pytest.raises(InputError, match=f"holds what `isoglot {verb}` made, not a training run to `resume`"):
        train(str(tiny_model), rows, tmp_path, TrainSettings(**FAST), resume=True)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_record_names_the_languages_that_were_trained_on(rows_file, tiny_model, tmp_path, capsys):
    """Those that batches can hold, and those of the model before; not all that the rows are in."""
    settings = TrainSettings(**{**FAST, "max_steps": 1, "batch_size": 17}, save_steps=0)
    first = train(str(tiny_model), rows_file, tmp_path / "first", settings)
    record = json.loads((first / "run.json").read_text())
    assert record["languages"] == ["de", "en", "hi", "zh"]  # ar has 15 passages
    assert record["inputs"] == {"rows": [str(rows_file)], "langs": None}
    assert "not trained on: ar; no batch of 17 pairs under hybrid-0.5 can hold them" in capsys.readouterr().err
    settings = TrainSettings(Sampling("en-en", pivot="ar"), **{**FAST, "max_steps": 1}, save_steps=0)
    second = train(str(first), rows_file, tmp_path / "second", settings, langs="AR,en")
    record = json.loads((second / "run.json").read_text())
    assert record["languages"] == ["ar", "de", "en", "hi", "zh"]
    assert record["inputs"]["langs"] == ["ar", "en"]
    assert "not trained on: en; no batch of 4 pairs under en-en" in capsys.readouterr().err


def test_what_a_folder_holds_is_replaced_only_when_told(rows, tiny_model, tmp_path):
    settings = TrainSettings(**{**FAST, "max_steps": 1}, save_steps=0)
    folder = train(str(tiny_model), rows, tmp_path / "out", settings)
    before = contents(folder)
    with pytest.raises(InputError, match=r"out: not empty; give `overwrite` to replace it or another `folder`"):
        train(str(tiny_model), rows, folder, settings)
    # Told to, but refused before a step: all is as it was.
    wide = TrainSettings(**{**FAST, "batch_size": 500})
    with pytest.raises(InputError, match="`batch_size`"):
        train(str(tiny_model), rows, folder, wide, overwrite=True)
    with pytest.raises(InputError, match=r"`overwrite` would remove the model to train"):
        train(str(folder), rows, folder, settings, overwrite=True)
    assert contents(folder) == before
    (folder / "notes.txt").write_text("of the first training")
    longer = TrainSettings(**{**FAST, "max_steps": 2}, save_steps=0)
    train(str(tiny_model), rows, folder, longer, overwrite=True)
    assert json.loads((folder / "run.json").read_text())["steps"] == 2
    assert not (folder / "notes.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_loss_that_is_no_number_stops_the_run(rows, tiny_model, tmp_path, monkeypatch):
    from isoglot.training.losses.weighted import GroupMaskedInfoNCE

    plain = GroupMaskedInfoNCE.measure

    def poisoned(self, *args, **kwargs):
        found = plain(self, *args, **kwargs)
        return found._replace(loss=found.loss * float("nan"))

    monkeypatch.setattr(GroupMaskedInfoNCE, "measure", poisoned)
    with pytest.raises(IsoglotError, match=r"step 1: the loss is nan .*; lower `lr`"):
        train(str(tiny_model), rows, tmp_path, TrainSettings(**FAST))
    assert not (tmp_path / "model.safetensors").exists()


def test_a_full_disk(rows, tiny_model, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("isoglot.training.trainer.save_trainable", full)
    with pytest.raises(IsoglotError, match=r"checkpoint-2: .*No space left on device.*then `resume`"):
        train(str(tiny_model), rows, tmp_path, TrainSettings(**FAST, save_steps=2))


def test_batches_that_do_not_fit_are_refused_before_the_model_is_loaded(rows, tmp_path):
    with pytest.raises(InputError, match="`batch_size` 23 or less"):
        train("./no-such-model", rows, tmp_path, TrainSettings(Sampling("x-y"), batch_size=500))


def test_a_teacher_who_said_nothing_is_not_followed(rows, tiny_model, tmp_path):
    given = TrainSettings(**FAST, loss_distill=1.0)
    with pytest.raises(
        InputError, match=r"loss_distill 1: no row has a teacher's scores .*; `isoglot data score` adds"
    ):
        train(str(tiny_model), rows, tmp_path / "out", given)
    assert not (tmp_path / "out").exists()


def test_a_loss_that_no_batch_has_anything_for_is_named(rows, tiny_model, tmp_path, capsys):
    given = {**FAST, "max_steps": 1, "save_steps": 0, "loss_jsd": 0.1}
    train(str(tiny_model), rows, tmp_path / "mono", TrainSettings(Sampling("x-x-mono"), **given))
    assert "not used: loss jsd; it compares language versions in cross-lingual" in capsys.readouterr().err
    train(str(tiny_model), rows, tmp_path / "cross", TrainSettings(Sampling("hybrid"), **given))
    assert "not used" not in capsys.readouterr().err


def test_half_precision(rows, tiny_model, tmp_path):
    settings = TrainSettings(**{**FAST, "precision": "bf16", "max_steps": 2})
    train(str(tiny_model), rows, tmp_path, settings)
    assert json.loads((tmp_path / "run.json").read_text())["precision"] == "bf16"
    assert {value.dtype for value in weights(tmp_path).values() if value.is_floating_point()} == {torch.float32}
