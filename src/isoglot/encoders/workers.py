"""Worker processes that encode, one per device: each opens the encoder once, and exits with its parent."""

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
    """Return a pool with one process per device, spawned at the first task; tasks call `worker_embedder`.

    As always when spawning, a script must put its own work under `if __name__ == "__main__":`.
    """
    context = multiprocessing.get_context("spawn")
    places: SimpleQueue[tuple[int, str | None]] = context.SimpleQueue()
    for place in enumerate(devices):
        places.put(place)
    started = (opener, places, len(devices))
    return ProcessPoolExecutor(len(devices), mp_context=context, initializer=_start, initargs=started)


@contextmanager
def ended_by_interrupts(pool: ProcessPoolExecutor) -> Iterator[None]:
    """Kill a pool's processes if the block is interrupted: one that hangs would not react to anything else."""
    try:
        yield
    except KeyboardInterrupt:
        for process in list((pool._processes or {}).values()):
            process.kill()
        raise


def worker_embedder() -> Embedder:
    """Return this process's encoder, opening it on first use."""
    global _embedder
    if _embedder is None:
        if _opener is None:
            raise IsoglotError("the encoder of this process was not opened")
        _embedder = _opener(_device)
    return _embedder


def split_devices(devices: str | Sequence[str | int] | None) -> tuple[str, ...]:
    """Return the names of devices; numbers denote CUDA devices.

    Raises:
        InputError: neither names nor numbers.

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
    # Ctrl-C reaches every process of the terminal; only the parent reports it.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(1))
    threading.Thread(target=leave_with_parent, daemon=True).start()
    import torch

    _opener, (number, _device) = opener, places.get()

    if _device is None or not _device.startswith("cuda"):
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    if _device is None and processes > 1 and torch.cuda.is_available():
        _device = f"cuda:{number % torch.cuda.device_count()}"


def leave_with_parent() -> None:
    """End this process when its parent is gone: after a kill -9 nothing else would, and the model would use memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
