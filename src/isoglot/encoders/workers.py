"""Processes that encode, one a device: each opens the encoder once, and leaves with its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.queues import SimpleQueue
from typing import Any

from isoglot.core.arguments import check_kind
from isoglot.core.errors import IsoglotError
from isoglot.encoders.embedder import Embedder

Opener = Callable[[str | None], Embedder]
"""Opens an encoder on a device (None leaves the choice to torch); picklable."""

_opener: Opener | None = None
_device: str | None = None
_embedder: Embedder | None = None


def start_workers(opener: Opener, devices: Sequence[str | None]) -> ProcessPoolExecutor:
    """A pool of as many processes as devices, spawned at the first task; a task asks `worker_embedder`.

    A script that starts such processes wants its own work under `if __name__ == "__main__":`, as every spawning does.
    """
    context = multiprocessing.get_context("spawn")
    places: SimpleQueue[tuple[int, str | None]] = context.SimpleQueue()
    for place in enumerate(devices):
        places.put(place)
    started = (opener, places, len(devices))
    return ProcessPoolExecutor(len(devices), mp_context=context, initializer=_start, initargs=started)


@contextmanager
def ended_by_interrupts(pool: ProcessPoolExecutor) -> Iterator[None]:
    """End the processes of a pool at once where the block is interrupted: one that hangs hears no other signal."""
    try:
        yield
    except KeyboardInterrupt:
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise


def worker_embedder() -> Embedder:
    """The encoder of this process."""
    global _embedder
    if _embedder is None:
        if _opener is None:
            raise IsoglotError("the encoder of this process was not opened")
        _embedder = _opener(_device)
    return _embedder


def split_devices(devices: str | Sequence[str | int] | None) -> tuple[str, ...]:
    """Names of devices: numbers are CUDA's.

    Raises:
        InputError: something else than names and numbers.

    >>> split_devices("0,1"), split_devices(["cpu", "cpu"]), split_devices([0, 1])
    (('cuda:0', 'cuda:1'), ('cpu', 'cpu'), ('cuda:0', 'cuda:1'))
    """
    expected = "names of devices: '0,1' of CUDA's, or 'cpu,cpu'"
    parts = devices.split(",") if isinstance(devices, str) else () if devices is None else devices
    check_kind("devices", parts, (list, tuple), expected)
    for part in parts:
        check_kind("devices: one of them", part, (str, int), expected)
    names = (str(part).strip() for part in parts)
    return tuple(f"cuda:{name}" if name.isdecimal() else name for name in names if name)


def _start(opener: Opener, places: Any, processes: int) -> None:
    global _opener, _device
    # Ctrl-C reaches every process of the terminal; the parent speaks for all.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(1))
    threading.Thread(target=leave_with_parent, daemon=True).start()
    import torch

    _opener, (number, _device) = opener, places.get()

    if _device is None or not _device.startswith("cuda"):
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    if _device is None and processes > 1 and torch.cuda.is_available():
        _device = f"cuda:{number % torch.cuda.device_count()}"


def leave_with_parent() -> None:
    """End this process when its parent is gone: after kill -9 nobody else would, and a model stays in memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
