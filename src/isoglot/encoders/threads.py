"""Fewer threads for small batches: one that sleeps while it waits wakes no sooner than a short text is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

from isoglot.core.waiting import asleep

_TOKENS = 256  # that occupy a thread; of fewer, two sleeping ones make a batch slower than one does


@contextmanager
def threads_for(tokens: int) -> Iterator[None]:
    """As many threads of torch as a batch occupies, for what the calling thread does meanwhile.

    Other threads keep theirs. Threads that spin while they wait are all left at work.

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
    """The libraries of threads that are loaded; torch is, by then."""
    return ThreadpoolController().select(user_api="openmp")
