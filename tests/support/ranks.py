"""A function in the processes of one training, each with its rank, that find each other at a port of this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from support.warm import warm_context


def run_ranks(
    work: Callable[..., None], world: int, arguments: Callable[[int, int, Any], tuple[Any, ...]], *, answers: int = 0
) -> list[Any]:
    """Run it once a rank, and wait for all.

    Args:
        work: of a module, so that another process finds it.
        world: how many processes.
        arguments: what `work` takes, by rank, port and the queue that its answers go into.
        answers: how many come.

    Returns:
        The answers, as they came.
    """
    context = warm_context()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = context.Queue()
    processes = [context.Process(target=work, args=arguments(rank, port, found)) for rank in range(world)]
    for process in processes:
        process.start()
    said = [found.get(timeout=300) for _ in range(answers)]
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return said
