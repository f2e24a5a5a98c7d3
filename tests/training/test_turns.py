"""Two machines of two processes each: who makes a file first, and what a mean over the wire comes to."""

import os

import pytest
import torch

from isoglot.training.processes import average_over_processes, in_turn
from support.ranks import run_ranks

WORLD = 4


def work(rank, folders, found):
    """One process of two machines; makes its machine's file where it is not there, then takes part in two means."""
    node, local = divmod(rank, 2)
    os.environ.update(LOCAL_RANK=str(local), LOCAL_WORLD_SIZE="2")
    torch.distributed.init_process_group("gloo")
    made = []
    for name, folder in folders.items():
        file = folder / ("tokens" if name == "shared" else f"node-{node}")
        with in_turn():
            if not file.exists():
                file.write_text(str(rank))
                made.append(name)
    means = []
    for wire in (None, torch.bfloat16):
        values = [torch.tensor([1 + 2**-8, float(rank)]), torch.full((2, 1), 3.0 * rank)]
        average_over_processes(values, wire)
        means.append([value.flatten().tolist() for value in values])
    found.put((rank, made, means))


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    folders = {name: tmp_path_factory.mktemp(name) for name in ("shared", "apart")}
    said = run_ranks(work, WORLD, lambda rank, found: (rank, folders, found), answers=WORLD)
    return {rank: (made, means) for rank, made, means in said}


def test_files_are_made_once_where_all_see_them_and_once_a_machine_where_not(said):
    assert {rank: made for rank, (made, _) in said.items()} == {0: ["shared", "apart"], 1: [], 2: ["apart"], 3: []}


def test_means_over_the_wire(said):
    """1 + 2^-8 has nine bits: a quarter of it becomes 1/4 in bf16, and four of these are 1."""
    for _, (exact, rounded) in said.values():
        assert exact == [[1 + 2**-8, 1.5], [4.5, 4.5]]
        assert rounded == [[1.0, 1.5], [4.5, 4.5]]


def test_alone_nobody_waits():
    with in_turn():
        pass
