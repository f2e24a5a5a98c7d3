"""Run a function in several processes of one distributed group, which connect through a local port."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from support.warm import warm_context


def run_ranks(
    work: Callable[..., None], world: int, arguments: Callable[[int, int, Any], tuple[Any, ...]], *, answers: int = 0
) -> list[Any]:
    """Run a function once per rank, and wait for all.

    Args:
        work: a module-level function, so that other processes can import it.
        world: the number of processes.
        arguments: from rank, port and the queue for results to the arguments of `work`.
        answers: the number of results to expect.

    Returns:
        The results, in order of arrival.
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
