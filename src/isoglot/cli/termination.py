"""SIGTERM, which a container is sent when it is stopped: a command cleans up as after Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Termination:
    """Whether SIGTERM came.

    Attributes:
        came: it did. Libraries turn whatever interrupts them into a plain KeyboardInterrupt, which does not say.
    """

    came = False


@contextmanager
def sigterm_interrupts() -> Iterator[Termination]:
    """Within the block SIGTERM raises KeyboardInterrupt, as Ctrl-C does; a second one ends the process at once.

    Whoever started the command keeps its own way with the signal, where it has one.
    """
    termination, home = Termination(), os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != home:  # a fork inherits the handler, but nothing to clean up
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
    """Within the block SIGTERM ends the process at once: for servers, which close before they pass the signal on.

    Supervisors take a server that ends by the signal for one that ended well.
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
    """Tell processes that were started here, as a terminal does on Ctrl-C: this one waits for them."""
    started = sys.modules.get("multiprocessing")
    for child in [] if started is None else started.active_children():
        with suppress(OSError):
            os.kill(child.pid, signal.SIGINT)
