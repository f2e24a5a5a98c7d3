"""Runs that are killed, interrupted or run out of something, and go on as if nothing had happened."""

import errno
import importlib
import json
import os
import random
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.loading import load
from isoglot.training.checkpoints import complete_checkpoints, keep_newest, mark_complete
from isoglot.training.failures import run_steps
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.settings import TrainSettings
from support.dying import die
from support.dying_trainings import DiesInStep, InterruptsStep
from support.encoders import tiny_encoder
from support.rows import tiny_rows
from support.warm import warm_context

SETTINGS = TrainSettings(
    batch_size=4,
    max_steps=16,
    save_steps=3,
    log_steps=2,
    device="cpu",
    precision="fp32",
    warmup_steps=2,
    log_batches=True,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with `model` and `rows`."""
    from isoglot.data.prepared import prepare

    home = tmp_path_factory.mktemp("exact")
    tiny_encoder(home, dropout=0.1, length=96)
    prepare([tiny_rows(home / "rows.jsonl")], home / "rows")
    return home


@pytest.fixture(scope="module")
def spawn():
    """Start a function in a process that has everything imported already."""
    return warm_context().Process


def run(home, name, settings=SETTINGS, resume=True, callbacks=()):
    import torch

    from isoglot.data.prepared import open_prepared
    from isoglot.training.run import train as fit

    torch.set_num_threads(1)
    fit(
        str(Path(home) / "model"),
        open_prepared(Path(home) / "rows"),
        Path(home) / name,
        settings,
        resume=resume,
        callbacks=callbacks,
    )


def run_to_half_a_checkpoint(home, name, where):
    """Train in a process that is killed while its first checkpoint is written, in a function of the trainer's."""
    import isoglot.training.trainer

    def half(*args, **kwargs):
        if where == "save_trainable":
            Path(args[1]).parent.mkdir(exist_ok=True, parents=True)
            Path(args[1]).write_bytes(b"half")
        die()

    setattr(isoglot.training.trainer, where, half)
    run(home, name)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def same_weights(first, second):
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    return one.keys() == other.keys() and all((one[key] == other[key]).all() for key in one)


@pytest.fixture(scope="module")
def uninterrupted(place):
    run(place, "whole")
    return place / "whole"


def exit_code(process):
    process.start()
    process.join()
    return process.exitcode


def test_killed_at_random_points_ends_with_the_same_weights_batches_and_log(place, spawn, uninterrupted):
    name, draw = "killed", random.Random(1)
    # A step makes some 6,000 calls and a checkpoint 12,000 more: each kill falls somewhere in the next few steps.
    for step in sorted(draw.sample(range(2, SETTINGS.max_steps - 1), 4)):
        killed = DiesInStep(step, draw.randint(1, 24_000))
        assert exit_code(spawn(target=run, args=(place, name, SETTINGS, True, (killed,)))) == -signal.SIGKILL
    run(place, name)
    assert same_weights(place / name, uninterrupted)
    assert (place / name / "tokenizer.json").read_text() == (uninterrupted / "tokenizer.json").read_text()
    assert lines(place / name / "batches-0.jsonl") == lines(uninterrupted / "batches-0.jsonl")
    assert lines(place / name / "training.jsonl") == lines(uninterrupted / "training.jsonl")


@pytest.mark.parametrize("where", ["save_trainable", "mark_complete"])
def test_killed_while_writing_a_checkpoint(place, spawn, uninterrupted, where):
    name = f"half-{where}"
    assert exit_code(spawn(target=run_to_half_a_checkpoint, args=(place, name, where))) == -signal.SIGKILL
    half = place / name / "checkpoints" / "checkpoint-3"
    assert half.is_dir()
    assert not (half / "complete.json").exists()
    run(place, name)
    assert same_weights(place / name, uninterrupted)
    assert not (place / name / "checkpoints").exists()


def test_temporary_files_are_no_part_of_a_checkpoint(tmp_path):
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    (checkpoint / "optimizer.pt").write_bytes(b"state")
    (checkpoint / ".optimizer.pt.x.tmp").write_bytes(b"sta")
    mark_complete(checkpoint, 3, {})
    mark_complete(checkpoint, 3, {}, selection={"step": 2})  # marked again, with a longer record
    (checkpoint / ".optimizer.pt.x.tmp").unlink()
    assert complete_checkpoints(tmp_path) == [checkpoint]


@pytest.mark.parametrize("cut", ["trainable.safetensors", "optimizer.pt", "trainer_state.json", "complete.json"])
def test_a_checkpoint_that_a_crashed_machine_cut_short_is_not_gone_on_from(place, uninterrupted, capfd, cut):
    name = f"cut-{cut}"
    checkpoints = place / name / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        run(place, name, callbacks=(InterruptsStep(8),))
    assert [path.name for path in complete_checkpoints(checkpoints)] == ["checkpoint-6", "checkpoint-8"]
    (checkpoints / "checkpoint-8" / cut).write_bytes(b"")
    assert [path.name for path in complete_checkpoints(checkpoints)] == ["checkpoint-6"]
    run(place, name)
    assert "checkpoint-8: incomplete, perhaps after a crash of the machine; removed" in capfd.readouterr().err
    assert same_weights(place / name, uninterrupted)
    assert lines(place / name / "training.jsonl") == lines(uninterrupted / "training.jsonl")


def test_an_older_checkpoint_goes_when_the_disk_has_a_newer_one(tmp_path, monkeypatch):
    for step in range(1, 5):
        checkpoint = tmp_path / f"checkpoint-{step}"
        checkpoint.mkdir()
        (checkpoint / "trainable.safetensors").write_bytes(b"weights")
        mark_complete(checkpoint, step, {})
    on_disk, synced, there = os.fsync, [], []

    def full(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def note(number):
        synced.append(os.fstat(number).st_ino)
        there.append(len(list(tmp_path.iterdir())))
        on_disk(number)

    monkeypatch.setattr("os.fsync", full)
    keep_newest(tmp_path, 2)
    assert len(complete_checkpoints(tmp_path)) == 4
    monkeypatch.setattr("os.fsync", note)
    keep_newest(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-4"]
    assert sorted(synced) == sorted(path.stat().st_ino for path in (tmp_path / "checkpoint-3").iterdir())
    assert set(there) == {4}


def test_dropout_is_on(place, uninterrupted, tmp_path):
    import torch

    from isoglot.training.trainer import step_seed

    assert step_seed(0, 1, 0) != step_seed(0, 1, 1) != step_seed(0, 2, 0)
    state = load_file(place / "model" / "model.safetensors")
    trained = load_file(uninterrupted / "model.safetensors")
    assert any(not torch.equal(state[key], trained[key]) for key in state)
    assert json.loads((place / "model" / "config.json").read_text())["hidden_dropout_prob"] == 0.1


def test_ctrl_c_writes_a_checkpoint_and_the_run_goes_on_from_it(place, spawn, uninterrupted):
    name = "interrupted"
    settings = replace(SETTINGS, save_steps=0)
    # KeyboardInterrupt; the command line makes it 130
    assert exit_code(spawn(target=run, args=(place, name, settings, True, (InterruptsStep(5),)))) == 1
    kept = list((place / name / "checkpoints").glob("checkpoint-*/complete.json"))
    assert len(kept) == 1
    assert 4 <= json.loads(kept[0].read_text())["step"] < SETTINGS.max_steps
    run(place, name, settings)
    assert same_weights(place / name, uninterrupted)


def test_other_settings_are_refused_by_name(place):
    run_once = place / "other"
    run_once.mkdir()
    with pytest.raises(IsoglotError):
        _run_with_nan(place, "other", at=5)
    with pytest.raises(InputError, match=r"lr \(3e-05 then, 0.01 now\)"):
        run(place, "other", replace(SETTINGS, lr=0.01))
    with pytest.raises(InputError, match=r"global_batch_size \(4 then, 8 now\)"):
        run(place, "other", replace(SETTINGS, batch_size=8))
    assert (run_once / "checkpoints" / "checkpoint-3" / "complete.json").exists()


def _run_with_nan(place, name, at):
    import isoglot.training.losses.batch

    real, calls = isoglot.training.losses.batch.scores, []

    def poisoned(*args):
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) == at else 1.0)

    isoglot.training.losses.batch.scores = poisoned
    try:
        run(place, name)
    finally:
        isoglot.training.losses.batch.scores = real


def test_nan_names_the_batch_and_keeps_the_last_checkpoint(place, uninterrupted):
    fifth = lines(uninterrupted / "batches-0.jsonl")[4]
    with pytest.raises(
        IsoglotError, match=rf"step 5: the loss is nan in the batch {fifth['kind']} .*rows {fifth['queries'][0]}, "
    ):
        _run_with_nan(place, "nan", at=5)
    run(place, "nan")
    assert same_weights(place / "nan", uninterrupted)


def test_full_disk_leaves_the_last_complete_checkpoint(place, uninterrupted):
    # The third checkpoint meets a limit on the size of files, which errors as a full disk does.
    import isoglot.training.trainer

    real, before = isoglot.training.trainer.save_trainable, resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(model, path):
        if "checkpoint-9" in str(path):
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            real(model, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    isoglot.training.trainer.save_trainable = full
    try:
        with pytest.raises(IsoglotError, match="checkpoint-9: the checkpoint could not be written"):
            run(place, "full")
    finally:
        isoglot.training.trainer.save_trainable = real
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(path.name for path in (place / "full" / "checkpoints").iterdir()) == ["checkpoint-3", "checkpoint-6"]
    run(place, "full")
    assert same_weights(place / "full", uninterrupted)


def test_out_of_memory_says_what_to_do(place, monkeypatch):
    import torch

    from isoglot.training.losses.weighted import GroupMaskedInfoNCE

    def starve(*args, **kwargs):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(GroupMaskedInfoNCE, "measure", starve)
    with pytest.raises(IsoglotError, match="`batch_size` 4; `grad_cache` 16 keeps the same batch"):
        run(place, "starved")
    with pytest.raises(IsoglotError, match="smaller `grad_cache`"):
        run(place, "starved", replace(SETTINGS, grad_cache=2))


def test_a_model_that_the_disk_does_not_take_keeps_its_checkpoints(place, uninterrupted, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(IsoglotError, match="could not be put on disk"):
            run(place, "late", replace(SETTINGS, save_steps=15))
    assert not (place / "late" / "run.json").exists()
    with pytest.raises(InputError, match="late: the run that writes this folder was stopped"):
        load(str(place / "late"))
    assert [path.name for path in complete_checkpoints(place / "late" / "checkpoints")] == [
        "checkpoint-15",
        "checkpoint-16",
    ]
    run(place, "late", replace(SETTINGS, save_steps=15))
    assert same_weights(place / "late", uninterrupted)


def test_a_run_is_not_resumed_on_other_weights_of_the_same_name(place, uninterrupted, tmp_path):
    shutil.copytree(place / "model", tmp_path / "model")
    shutil.copytree(place / "rows", tmp_path / "rows")
    short = replace(SETTINGS, max_steps=2, save_steps=2)
    run(tmp_path, "out", short)
    weights = tmp_path / "model" / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(InputError, match=r"made with other settings: weights \(checksum"):
        run(tmp_path, "out", short)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    del record["settings"]["weights"]  # as earlier releases wrote it
    (tmp_path / "out" / "run.json").write_text(json.dumps(record))
    run(tmp_path, "out", short)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_death_of_another_process_is_one_line(tmp_path, monkeypatch, processes):
    told = "[gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:34720."

    class Trainer:
        def train(self, resume_from_checkpoint):
            raise RuntimeError(told)

    monkeypatch.setenv("WORLD_SIZE", processes)
    with pytest.raises(IsoglotError if processes == "2" else RuntimeError) as caught:
        run_steps(Trainer(), None, tmp_path, SETTINGS)
    assert (str(caught.value) == told) == (processes == "1")
    assert ("another process of this training died" in str(caught.value)) == (processes == "2")


def test_batch_larger_than_the_groups_names_the_maximum(place):
    with pytest.raises(InputError, match="give `batch_size` 24 or less"):
        run(place, "large", replace(SETTINGS, batch_size=25))


def test_a_text_of_nothing_and_a_language_of_one_row(place, tmp_path, capfd):
    from isoglot.data.prepared import prepare
    from isoglot.training.run import train as fit

    rows = tiny_rows(tmp_path / "rows.jsonl", groups=8, langs=("de", "en"))
    with rows.open("a") as out:
        out.write(json.dumps({"group": "g0", "lang": "sw", "query": "mlima?", "passage": "mlima"}) + "\n")
    prepared = prepare([rows], tmp_path / "prepared")
    module = importlib.import_module("isoglot.training.run")
    real = module.load

    def emptying(*args, **kwargs):
        model = real(*args, **kwargs)
        inner = model.preprocess

        def preprocess(texts, **more):
            features = inner(texts, **more)
            if "mlima" in texts:
                features["attention_mask"][texts.index("mlima")] = 0
            return features

        model.preprocess = preprocess
        return model

    module.load = emptying
    try:
        fit(
            str(place / "model"),
            prepared,
            tmp_path / "out",
            replace(SETTINGS, max_steps=3, sampling=Sampling(xy="per-example")),
        )
    finally:
        module.load = real
    assert "1 passages contain nothing that the tokenizer knows" in capfd.readouterr().err
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_tokens_of_the_drawn_rows_alone_train_the_same(place, tmp_path, monkeypatch):
    from isoglot.training.sampling.sampler import HybridBatchSampler

    settings = replace(SETTINGS, embeddings="all", max_steps=3, save_steps=0, log_batches=False)
    run(place, tmp_path / "drawn-not", settings)
    drawn = []

    def rows(self):
        drawn.append(sorted({row for batch in self.batches() for row in (*batch.queries, *batch.passages)}))
        return np.array(drawn[-1])

    monkeypatch.setattr(HybridBatchSampler, "rows", rows)
    run(place, tmp_path / "drawn", settings)
    assert 0 < len(drawn[0]) < 48
    whole, part = (load_file(tmp_path / name / "model.safetensors") for name in ("drawn-not", "drawn"))
    assert all(whole[name].equal(part[name]) for name in whole)
    # What all runs share lies beside the rows, what one run needs is gone with it.
    assert len(list((place / "rows" / "tokens").iterdir())) >= 2
    assert not (tmp_path / "drawn" / "checkpoints").exists()
