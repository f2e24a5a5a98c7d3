"""Several processes that act as one: gradients are averaged, and files are written by one process for all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed


def average_over_processes(tensors: list[Tensor], wire: torch.dtype | None = None) -> None:
    """Replace tensors by their mean over all processes, in pieces of about 64 MB.

    Args:
        tensors: tensors with the same shapes in all processes.
        wire: dtype for the exchange; that of the tensors when None. With `torch.bfloat16` every process sends its share
            of the mean rounded to 8 bits of mantissa, as torch's `bf16_compress_hook` does: half the bytes of float32.
    """
    piece: list[Tensor] = []
    size = 0
    for tensor in tensors:
        piece.append(tensor)
        size += tensor.numel() * tensor.element_size()
        if size > 1 << 26:
            _average(piece, wire)
            piece, size = [], 0
    if piece:
        _average(piece, wire)


def _average(tensors: list[Tensor], wire: torch.dtype | None) -> None:
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    if wire is None:
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
    else:
        flat = (flat / distributed.get_world_size()).to(wire)
        distributed.all_reduce(flat)
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()


@contextmanager
def in_turn() -> Iterator[None]:
    """Run the block first in the process with rank 0, then in the first of every other machine, then in all others.

    So files that the block writes to a folder are written once if all machines share that folder, otherwise once per
    machine; the later processes find them there.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        yield
        return
    turn = 0 if rank() == 0 else 1 if os.environ.get("LOCAL_RANK", "0") == "0" else 2
    for _ in range(turn):
        distributed.barrier()
    try:
        yield
    finally:
        for _ in range(turn, 2):
            distributed.barrier()


def rank() -> int:
    """Return the rank of this process, 0 if it is the only one."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
