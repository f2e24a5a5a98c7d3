"""One encoder in several processes: one that dies is told of, and one that hangs does not outlive an interrupt."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest

from isoglot.core.errors import IsoglotError
from isoglot.encoders.device_pool import DevicePool
from support.apart import open_deadly, open_endlessly


@pytest.mark.parametrize("asked", [lambda pool: pool.length, lambda pool: pool(["a text"], "query")])
def test_a_process_that_dies_while_it_opens_the_model(asked, warm_processes):
    with (
        DevicePool(open_deadly, ["cpu", "cpu"], name="m") as pool,
        pytest.raises(IsoglotError, match=r"an encoding process died \(out of memory\?\)"),
    ):
        asked(pool)


@pytest.mark.parametrize("asked", [lambda pool: pool.length, lambda pool: pool(["a text"] * 40, "query")])
def test_an_interrupt_ends_processes_that_hang(asked, warm_processes):
    pool = DevicePool(open_endlessly, ["cpu", "cpu"], name="m")
    before = set(multiprocessing.active_children())

    def interrupt():
        while not set(multiprocessing.active_children()) - before:
            time.sleep(0.05)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        asked(pool)
    pool.close()
    until = time.monotonic() + 20
    while set(multiprocessing.active_children()) - before and time.monotonic() < until:
        time.sleep(0.05)
    assert not set(multiprocessing.active_children()) - before
