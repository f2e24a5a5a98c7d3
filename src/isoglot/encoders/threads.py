"""Use fewer threads for small batches: waking a sleeping thread takes as long as encoding a short text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

from isoglot.core.passive_waiting import asleep

_TOKENS = 256  # per thread; with fewer, two threads that have to be woken are slower than one


@contextmanager
def threads_for(tokens: int) -> Iterator[None]:
    """Limit torch's threads, for the calling thread and within the block, to as many as a batch can use.

    Other threads are not affected. If threads spin while waiting, there is no limit.

    Args:
        tokens: of the batch.
    """
    if not asleep():
        yield
        return
    import torch

    wanted = max(1, tokens // _TOKENS)
    if wanted >= torch.get_num_threads():
        yield
        return
    with _openmp().limit(limits=wanted):
        yield


@cache
def _openmp() -> ThreadpoolController:
    """Return the loaded OpenMP libraries; torch is loaded by then."""
    return ThreadpoolController().select(user_api="openmp")
