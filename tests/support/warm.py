"""Processes with everything imported: forked from one that did nothing else, where a new one would take seconds."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


def warm_context() -> ForkServerContext:
    """Starts such processes; one server of them serves all tests of a worker."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["isoglot.training.run"])
    # Now: its processes get the signal mask that this one has, and a start may come while SIGINT is blocked.
    forkserver.ensure_running()
    return context


def exit_code_of(program: str) -> int:
    """Run a program's text in one, with this process's environment; below zero it is the signal that ended it."""
    process = warm_context().Process(target=_run, args=(program, dict(os.environ)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(program: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    exec(program, {"__name__": "__main__"})
