"""Run a function in several processes of one distributed group, which connect through a local port."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from support.warm import warm_context


def run_ranks(
    work: Callable[..., None], world: int, arguments: Callable[[int, Any], tuple[Any, ...]], *, answers: int = 0
) -> list[Any]:
    """Run a function once per rank, with one thread each, and wait for all.

    Args:
        work: a module-level function, so that other processes can import it.
        world: the number of processes.
        arguments: from rank and the queue for results to the arguments of `work`.
        answers: the number of results to expect.

    Returns:
        The results, in order of arrival.
    """
    context = warm_context()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = context.Queue()
    processes = [
        context.Process(target=_as_rank, args=(rank, world, port, work, arguments(rank, found)))
        for rank in range(world)
    ]
    for process in processes:
        process.start()
    said = [found.get(timeout=300) for _ in range(answers)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return said


def _as_rank(rank: int, world: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_RANK=str(rank), LOCAL_WORLD_SIZE=str(world))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    try:
        work(*arguments)
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
