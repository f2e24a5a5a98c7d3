"""Starts that would train apart or wrongly are refused."""

import multiprocessing
import os
import socket

import pytest

from isoglot.core.errors import InputError
from isoglot.training.launch import require_known_launch, require_one_run


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


def work(rank, port, facts, found):
    import torch

    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.distributed.init_process_group("gloo")
    try:
        require_one_run({"lr": 0.1, "checkpoint": None})
        require_one_run(facts[rank])
        found.put("agreed")
    except InputError as error:
        found.put(str(error))
    torch.distributed.destroy_process_group()


def test_processes_that_see_other_checkpoints_do_not_go_on():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["isoglot.training.run"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = context.Queue()
    facts = [{"lr": 0.1, "checkpoint": "checkpoint-4"}, {"lr": 0.1, "checkpoint": None}]
    processes = [context.Process(target=work, args=(rank, port, facts, found)) for rank in range(2)]
    for process in processes:
        process.start()
    said = {found.get(timeout=120) for _ in processes}
    for process in processes:
        process.join(60)
    (message,) = said
    assert message.startswith("process 1 starts with another checkpoint (None) than process 0 ('checkpoint-4')")
