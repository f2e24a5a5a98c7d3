"""Batches of texts of similar length, each run with as many threads as it can use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isoglot.core.progress import Progress
from isoglot.encoders.threads import threads_for

if TYPE_CHECKING:
    from isoglot.encoders.tokens import Tokens

TOKENS_A_BATCH = 4096


def in_batches(tokens: Tokens, take: Callable[[NDArray[np.int64]], None], *, what: str, device: str) -> None:
    """Pass all texts, in batches of similar length, to a function that encodes them.

    Args:
        tokens: of the texts.
        take: called in inference mode with the indices of a batch's texts, longest first.
        what: name of the progress bar.
        device: that computes.
    """
    import torch

    lengths = np.diff(tokens.offsets)
    order = np.argsort(-lengths, kind="stable")
    with Progress(f"encoding {what}", len(lengths)) as progress, torch.inference_mode():
        for batch in _batches(lengths[order], device):
            chosen = order[batch]
            with threads_for(int(lengths[chosen].sum())):
                take(chosen)
            progress.advance(len(chosen))


def _batches(lengths: NDArray[np.int64], device: str) -> Iterator[slice]:
    """Yield slices of texts sorted longest first, each of some thousand tokens when padded to its longest text."""
    budget = TOKENS_A_BATCH * (8 if device.startswith("cuda") else 1)
    start = 0
    while start < len(lengths):
        end = start + max(1, budget // int(lengths[start]))
        yield slice(start, end)
        start = end
