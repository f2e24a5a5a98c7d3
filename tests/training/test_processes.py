"""Two processes over gloo: the same loss and gradients as one, and batches that keep their promises."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from isoglot.core.errors import InputError, IsoglotError
from isoglot.training.settings import TrainSettings
from support.encoders import tiny_encoder
from support.ranks import run_ranks
from support.rows import tiny_rows

ONE = TrainSettings(
    batch_size=8,
    max_steps=6,
    save_steps=2,
    log_steps=1,
    device="cpu",
    precision="fp32",
    warmup_steps=1,
    log_batches=True,
)
TWO = replace(ONE, batch_size=4)
# Every term, hard negatives included.
EVERYTHING = {"loss_symmetric": 0.5, "loss_jsd": 0.3, "loss_kl": 0.2, "loss_distill": 0.1}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folder with `model` (no dropout) and `rows`, which have hard negatives and teacher scores."""
    from isoglot.data.prepared import prepare

    home = tmp_path_factory.mktemp("processes")
    tiny_encoder(home, length=96)
    path = tiny_rows(
        home / "rows.jsonl",
        negatives=lambda n, lang: [f"{lang} {n + 1} nothing"] if n % 3 else [],
        scores=lambda n, lang: [0.9, 0.1 * (n % 5)] if n % 3 else [],
    )
    prepare([path], home / "rows")
    return home


def work(home, name, settings, rank, stop):
    """One process: train, keep the first step's gradients; with `stop`, fail after that step."""
    from isoglot.data.prepared import open_prepared
    from isoglot.training import trainer
    from isoglot.training.run import train as fit

    folder = Path(home) / name
    real = trainer.HybridTrainer.training_step

    def step(self, *args, **kwargs):
        loss = real(self, *args, **kwargs)
        done = self.state.global_step + 1
        if done == 1:
            grads = {key: p.grad.clone() for key, p in self.model.named_parameters() if p.grad is not None}
            torch.save({"loss": loss.item(), "grads": grads}, folder / f"first-{rank}.pt")
        if done == stop:
            raise IsoglotError("stopped on purpose")
        return loss

    def save(*args, real=trainer.save_trainable):
        (folder / f"saved-by-{rank}").touch()
        real(*args)

    trainer.HybridTrainer.training_step = step
    trainer.save_trainable = save
    try:
        fit(str(Path(home) / "model"), open_prepared(Path(home) / "rows"), folder, settings, resume=True)
    except IsoglotError as error:
        (folder / f"error-{rank}").write_text(str(error))


def train(home, name, settings, world, stop=0):
    (home / name).mkdir(exist_ok=True)
    run_ranks(work, world, lambda rank, _: (home, name, settings, rank, stop))
    return home / name


def batches(folder, rank):
    return [json.loads(line) for line in (folder / f"batches-{rank}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("plain", {}),
        ("cached-everything", {**EVERYTHING, "grad_cache": 2}),
    ],
)
def test_two_of_b_equal_one_of_2b(place, name, more):
    one = train(place, f"one-{name}", replace(ONE, **more), 1, stop=1)
    two = train(place, f"two-{name}", replace(TWO, **more), 2, stop=1)
    alone = torch.load(one / "first-0.pt")
    for rank in (0, 1):
        together = torch.load(two / f"first-{rank}.pt")
        assert together["loss"] == pytest.approx(alone["loss"], rel=1e-5)
        assert together["grads"].keys() == alone["grads"].keys()
        for key, grad in alone["grads"].items():
            torch.testing.assert_close(together["grads"][key], grad, rtol=1e-4, atol=1e-5, msg=key)


def test_gradients_may_travel_in_bf16(place):
    """The loss of a step is what it was, gradients are within what 8 bits of mantissa and a sum of two can lose."""
    exact = train(place, "wire-fp32", TWO, 2, stop=1)
    rounded = train(place, "wire-bf16", replace(TWO, gradient_wire="bf16"), 2, stop=1)
    ours, theirs = ([torch.load(run / f"first-{rank}.pt") for rank in (0, 1)] for run in (exact, rounded))
    assert theirs[0]["loss"] == ours[0]["loss"]
    different = 0
    for key, grad in ours[0]["grads"].items():
        got = theirs[0]["grads"][key]
        assert got.dtype == torch.float32
        assert torch.equal(got, theirs[1]["grads"][key])
        assert torch.equal(got, got.bfloat16().float())
        different += not torch.equal(got, grad)
        torch.testing.assert_close(got, grad, rtol=2**-5, atol=2**-7 * grad.abs().max().item())
    assert different


def test_batches_of_both_ranks_and_resuming_with_another_number(place):
    one = train(place, "one-run", ONE, 1)
    two = train(place, "two-run", TWO, 2)
    zero, first, alone = batches(two, 0), batches(two, 1), batches(one, 0)
    assert [record["step"] for record in zero] == list(range(1, 7))
    for left, right, both in zip(zero, first, alone, strict=True):
        for key in ("step", "kind", "query_langs", "passage_langs"):
            assert left[key] == right[key] == both[key]
        assert not set(left["components"]) & set(right["components"])
        assert len(set(both["components"])) == 8
        for key in ("queries", "passages"):
            assert left[key] + right[key] == both[key]
    assert {record["kind"] for record in zero} == {"mono", "cross"}
    assert all(len(record["query_langs"]) == len(record["passage_langs"]) == 1 for record in zero)
    weights, others = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    for key, value in weights.items():
        torch.testing.assert_close(others[key], value, rtol=1e-3, atol=1e-4)
    logs = [[json.loads(line) for line in (run / "training.jsonl").read_text().splitlines()] for run in (one, two)]
    for ours, theirs in zip(*logs, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(ours[key] == pytest.approx(theirs[key], rel=1e-3, abs=1e-4) for key in ours)

    # Two processes up to step 3 (a checkpoint after 2), then one process with the whole batch.
    resumed = train(place, "resumed", TWO, 2, stop=3)
    assert (resumed / "checkpoints" / "checkpoint-2" / "complete.json").is_file()
    # A second writer's temporary file would count as a part of the checkpoint, and then be missing.
    assert [path.name for path in resumed.glob("saved-by-*")] == ["saved-by-0"]
    with pytest.raises(InputError, match=r"global_batch_size \(8 then, 4 now\)"):
        _alone(place, resumed, TWO)
    assert not list((resumed / "checkpoints").glob("**/rng_state_*"))
    train(place, "resumed", ONE, 1)
    assert batches(resumed, 0)[2:] == alone[2:]
    weights = load_file(resumed / "model.safetensors")
    for key, value in others.items():
        torch.testing.assert_close(weights[key], value, rtol=1e-3, atol=1e-4)


def _alone(place, folder, settings):
    from isoglot.data.prepared import open_prepared
    from isoglot.training.run import train as fit

    fit(str(place / "model"), open_prepared(place / "rows"), folder, settings, resume=True)
