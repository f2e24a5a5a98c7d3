"""Two machines on one: an agent of torchrun each, joined over loopback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

import isoglot
from support.encoders import tiny_encoder
from support.rows import tiny_rows

SUPPORT = Path(__file__).parents[1] / "support"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(home, *arguments):
    """Start both agents; give the exit codes and what they said on stderr."""
    paths = [Path(isoglot.__file__).parents[1], SUPPORT.parent]
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"
    }  # fmt: skip
    port = str(free_port())
    agents = [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--node-rank",
             str(number), "--master-addr", "127.0.0.1", "--master-port", port, str(SUPPORT / "node.py"), str(home),
             *map(str, arguments)],
            env=environment, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    try:
        said = [agent.communicate(timeout=280)[1] for agent in agents]
    finally:
        for agent in agents:
            agent.terminate()  # unlike `kill`, this ends the process that it started too
    return [agent.returncode for agent in agents], said


@pytest.mark.scale
@pytest.mark.timeout(900)
def test_a_killed_rank_and_a_resumed_run_end_as_an_uninterrupted_one(tmp_path):
    tiny_encoder(tmp_path, dropout=0.1, length=96)
    tiny_rows(tmp_path / "rows.jsonl")
    codes, said = launch(tmp_path, "whole")
    assert codes == [0, 0], said
    # Queries and passages, once on each machine: their caches are apart.
    assert [(tmp_path / f"whole-made-{machine}").read_text() for machine in (0, 1)] == ["xx", "xx"]

    codes, said = launch(tmp_path, "killed", 4)
    assert 0 not in codes, said
    checkpoints = tmp_path / "killed" / "checkpoints"
    assert [path.parent.name for path in checkpoints.glob("checkpoint-*/complete.json")] == ["checkpoint-2"]
    assert not (tmp_path / "killed" / "run.json").exists()

    codes, said = launch(tmp_path, "killed")
    assert codes == [0, 0], said
    whole, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert value.numpy().tobytes() == resumed[key].numpy().tobytes(), key
    logs = [(tmp_path / name / "training.jsonl").read_text().splitlines() for name in ("whole", "killed")]
    assert len(logs[0]) == len(logs[1]) == 6
