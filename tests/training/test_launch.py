"""Starts that would train apart or wrongly are refused."""

import pytest

from isoglot.core.errors import InputError
from isoglot.training.launch import require_known_launch
from support.ranks import run_ranks


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        # What `accelerate launch --cpu --num_machines 2` sets.
        ({"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}, "started without a rank"),
        ({"ACCELERATE_USE_FSDP": "true", "RANK": "0"}, "FSDP shards weights"),
        ({"ACCELERATE_USE_DEEPSPEED": "true", "RANK": "0"}, "DEEPSPEED shards weights"),
    ],
)
def test_launchers_that_are_refused(monkeypatch, environment, message):
    for name in ("RANK", "MASTER_ADDR", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    require_known_launch()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message):
        require_known_launch()


def work(rank, facts, versions, found):
    import torch
    import transformers

    import isoglot.training.launch as launch

    torch.distributed.init_process_group("gloo")
    places = {"isoglot": launch, "torch": torch, "transformers": transformers}

    def tell(name, facts):
        try:
            launch.require_one_run(facts)
            found.put((name, "agreed"))
        except InputError as error:
            found.put((name, str(error)))

    launch.require_one_run({"lr": 0.1, "checkpoint": None})
    tell("checkpoint", facts[rank])
    for name, both in versions.items():
        with pytest.MonkeyPatch.context() as patch:
            if name == "Python":
                patch.setattr("platform.python_version", lambda own=both[rank]: own)
            else:
                patch.setattr(places[name], "__version__", both[rank])
            tell(name, {})


def test_processes_that_differ_do_not_go_on():
    """In the checkpoint that they see, or in a version of what trains."""
    facts = [{"lr": 0.1, "checkpoint": "checkpoint-4"}, {"lr": 0.1, "checkpoint": None}]
    versions = dict.fromkeys(("isoglot", "Python", "torch", "transformers"), ("1.2", "1.3"))
    answers = 2 * (1 + len(versions))
    said = set(run_ranks(work, 2, lambda rank, found: (rank, facts, versions, found), answers=answers))
    told = dict(said)
    assert len(said) == len(told) == 1 + len(versions)  # both processes say the same
    assert told["checkpoint"].startswith("process 1 has checkpoint None, process 0 has 'checkpoint-4'")
    for name in versions:
        assert told[name].startswith(f"process 1 has {name} '1.3', process 0 has '1.2'")
