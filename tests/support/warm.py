"""Processes that start with everything imported: forked from a server process, since new ones would take seconds."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


def warm_context() -> ForkServerContext:
    """The context that starts such processes; all tests of a worker share one server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["isoglot.training.run"])
    # Started now, since processes inherit the current signal mask, and SIGINT may be blocked at a later start.
    forkserver.ensure_running()
    return context


def exit_code_of(program: str) -> int:
    """Run a program's source in one, with this process's environment; a negative exit code is a signal's number."""
    process = warm_context().Process(target=_run, args=(program, dict(os.environ)))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(program: str, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    exec(program, {"__name__": "__main__"})
