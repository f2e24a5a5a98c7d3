"""Train only the rows of the token table that the corpus uses.

A token table is 69-82 % of a multilingual encoder's parameters, and a corpus uses a small part of it: gradients and
optimiser state for the rest cost memory and time and change nothing but weight decay. `UsedEmbedding` keeps the used
rows as one dense trainable matrix, so clipping, DDP and fused optimisers work as usual, and reads and writes
checkpoints like the plain table that it replaces.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from isoglot.core.arguments import check_choice


class Reading(NamedTuple):
    """The tokens of one batch: their `vectors` (n, d), and in `local` each trained row's index in these, or -1."""

    vectors: Tensor
    local: Tensor


class UsedEmbedding(nn.Module):
    """A token table (V, d) of which only the rows `used` are trained.

    Anything a table does besides look-ups is preserved: Gemma's multiplies its rows by a constant.

    Args:
        table: the plain table; its unused rows do not change.
        used: (n,) sorted token ids.
    """

    frozen: Tensor
    used: Tensor
    place: Tensor

    def __init__(self, table: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self._tables = (table, _with_other_rows(table))  # in a tuple, to keep them from becoming submodules
        self.register_buffer("frozen", table.weight.detach(), persistent=False)
        self.register_buffer("used", used, persistent=False)
        used = used.to(table.weight.device)
        place = torch.full((table.num_embeddings,), -1, dtype=torch.long, device=used.device)
        place[used] = torch.arange(len(used), device=used.device)
        self.register_buffer("place", place, persistent=False)
        self._place = place.cpu()
        self.trained = nn.Parameter(table.weight.detach()[used].clone())
        self._reading: Reading | None = None

    def gather(self, ids: Tensor) -> Reading | None:
        """Look up the tokens of a whole batch at once; return None if some are not among the used ones.

        Every look-up in the trained table costs a dense gradient of its size, which a batch processed in chunks would
        pay for each chunk.

        Args:
            ids: all token ids of the batch, any shape.
        """
        device = self.trained.device
        # On the CPU if the ids are there: the number of different tokens is needed now, which would stall a GPU.
        place = torch.unique((self._place if ids.device.type == "cpu" else self.place)[ids.reshape(-1)])
        if int(place[0]) < 0:
            return None
        place = place.to(device)
        local = torch.full((len(self.trained),), -1, dtype=torch.long, device=device)
        local[place] = torch.arange(len(place), device=device)
        return Reading(functional.embedding(place, self.trained), local)

    def _look_up(self, ids: Tensor, rows: Tensor) -> Tensor:
        """Return the table's output for these ids if its rows were `rows`."""
        _, own = self._tables
        if type(own) is nn.Embedding:
            return functional.embedding(ids, rows)
        found: Tensor = torch.func.functional_call(own, {"weight": rows}, (ids,))
        return found

    @contextmanager
    def reading(self, tokens: Reading | None) -> Iterator[None]:
        """Within the block, serve look-ups from the result of `gather`."""
        self._reading = tokens
        try:
            yield
        finally:
            self._reading = None

    def forward(self, ids: Tensor) -> Tensor:
        """Look up token ids, (…) -> (…, d)."""
        place = self.place[ids]
        if self._reading is not None:
            return self._look_up(self._reading.local[place], self._reading.vectors)
        vectors = self._look_up(place.clamp(min=0), self.trained)
        unused = place < 0
        if bool(unused.any()):  # texts outside the corpus, in an evaluation during training
            vectors = torch.where(unused[..., None], self._look_up(ids, self.frozen), vectors)
        return vectors

    @property
    def weight(self) -> Tensor:
        """The whole table in its current state, (V, d): the frozen copy, updated with the trained rows; not a clone."""
        with torch.no_grad():
            self.frozen.index_copy_(0, self.used, self.trained.detach().to(self.frozen.dtype))
        return self.frozen

    def restore(self) -> nn.Embedding:
        """Return the plain table with the trained rows written back."""
        table, _ = self._tables
        table.weight.data = self.weight
        return table

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.weight

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        missing_keys: list[str] = args[2]
        table = state_dict.get(f"{prefix}weight")
        if table is None:
            missing_keys.append(f"{prefix}weight")
            return
        with torch.no_grad():
            self.frozen.copy_(table)
            self.trained.copy_(table[self.used])


def _with_other_rows(table: nn.Embedding) -> nn.Embedding:
    """Return a table of the same kind without a padding row, for look-ups in other weights."""
    other = copy.copy(table)
    other._parameters = dict(table._parameters)
    other.padding_idx = None
    return other


def prepare_token_table(backbone: Any, mode: str, used: Tensor) -> None:
    """Set up the token table of a transformers model for training.

    Args:
        backbone: a transformers encoder.
        mode: `used` trains the rows in `used`, `all` the whole table, `freeze` none.
        used: (n,) token ids of the corpus.

    Raises:
        InputError: an unknown mode.
    """
    check_choice("embeddings", mode, ("used", "all", "freeze"))
    table = backbone.get_input_embeddings()
    if mode == "used":
        backbone.set_input_embeddings(UsedEmbedding(table, torch.unique(used.long())))
    else:
        table.weight.requires_grad_(mode == "all")


def restore_token_table(backbone: Any) -> None:
    """Undo `prepare_token_table`: restore the plain table and make it trainable."""
    table = backbone.get_input_embeddings()
    if isinstance(table, UsedEmbedding):
        table = table.restore()
        backbone.set_input_embeddings(table)
    table.weight.requires_grad_(True)
