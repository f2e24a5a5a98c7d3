"""Gradients of several processes into one."""

from __future__ import annotations

import os

import torch
from torch import Tensor, distributed


def average_over_processes(tensors: list[Tensor]) -> None:
    """Replace tensors by their mean over all processes, in pieces of at most 64 MB."""
    piece: list[Tensor] = []
    size = 0
    for tensor in tensors:
        piece.append(tensor)
        size += tensor.numel() * tensor.element_size()
        if size > 1 << 26:
            _average(piece)
            piece, size = [], 0
    if piece:
        _average(piece)


def _average(tensors: list[Tensor]) -> None:
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    start = 0
    for tensor in tensors:
        tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
        start += tensor.numel()


def rank() -> int:
    """Number of this process among all, 0 where it is alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Number of processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
