"""Handling of SIGTERM, which stops containers: commands clean up as after Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Termination:
    """Whether SIGTERM was received.

    Attributes:
        came: True if it was. The exception cannot tell: libraries turn any interruption into a plain KeyboardInterrupt.
    """

    came = False


@contextmanager
def sigterm_interrupts() -> Iterator[Termination]:
    """Make SIGTERM raise KeyboardInterrupt within the block, like Ctrl-C; a second one ends the process at once.

    A handler that the calling program has already installed is left in place.
    """
    termination, home = Termination(), os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != home:  # a fork inherits the handler, but has nothing to clean up
            os.kill(os.getpid(), signal.SIGTERM)
            return
        termination.came = True
        _interrupt_children()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield termination
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield termination
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def sigterm_ends() -> Iterator[None]:
    """Make SIGTERM end the process at once within the block: for servers, which close before they re-raise the signal.

    Supervisors regard a server that was ended by the signal as one that ended well.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt_children() -> None:
    """Send SIGINT to child processes, as a terminal does on Ctrl-C, since this process waits for them."""
    started = sys.modules.get("multiprocessing")
    for child in [] if started is None else started.active_children():
        with suppress(OSError):
            os.kill(child.pid, signal.SIGINT)
