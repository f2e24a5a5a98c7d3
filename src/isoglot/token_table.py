"""Training only the rows of the token table that the corpus uses.

A token table is 69-82 % of a multilingual encoder's parameters, and a corpus uses a small part of it: gradients and
optimiser state for the rest cost memory and time and change nothing but weight decay. `UsedEmbedding` keeps the used
rows as one dense trainable matrix, so clipping, DDP and fused optimisers work as always, and reads and writes
checkpoints as the plain table it stands for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from isoglot.errors import InputError


class UsedEmbedding(nn.Module):
    """A token table (V, d) of which only the rows `used` are trained.

    Args:
        table: the plain table; its rows that are not used stay as they are.
        used: (n,) sorted token ids.
    """

    frozen: Tensor
    used: Tensor
    place: Tensor

    def __init__(self, table: nn.Embedding, used: Tensor) -> None:
        super().__init__()
        self.padding_idx = table.padding_idx
        self.register_buffer("frozen", table.weight.detach(), persistent=False)
        self.register_buffer("used", used, persistent=False)
        place = torch.full((table.num_embeddings,), -1, dtype=torch.long)
        place[used] = torch.arange(len(used))
        self.register_buffer("place", place, persistent=False)
        self.trained = nn.Parameter(table.weight.detach()[used].clone())

    def forward(self, ids: Tensor) -> Tensor:
        """Look token ids up, (…) -> (…, d)."""
        place = self.place[ids]
        vectors = functional.embedding(place.clamp(min=0), self.trained)
        unused = place < 0
        if bool(unused.any()):  # texts outside the corpus, in an evaluation during training
            vectors = torch.where(unused[..., None], functional.embedding(ids, self.frozen), vectors)
        return vectors

    @property
    def weight(self) -> Tensor:
        """The whole table as it stands now, (V, d)."""
        table: Tensor = self.frozen.clone()
        table[self.used] = self.trained.detach().to(table.dtype)
        return table

    def restore(self) -> nn.Embedding:
        """A plain embedding with the trained rows put back."""
        rows, width = self.frozen.shape
        return nn.Embedding(rows, width, padding_idx=self.padding_idx, _weight=self.weight)

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


def prepare_token_table(backbone: Any, mode: str, used: Tensor) -> None:
    """Set the token table of a transformers model up for training.

    Args:
        backbone: a transformers encoder.
        mode: `used` trains the rows in `used`, `all` the whole table, `freeze` none.
        used: (n,) token ids of the corpus.

    Raises:
        InputError: an unknown mode.
    """
    if mode == "all":
        return
    if mode not in ("used", "freeze"):
        raise InputError(f"--embeddings {mode!r}: expected one of used, all, freeze")
    table = backbone.get_input_embeddings()
    if mode == "freeze":
        table.weight.requires_grad_(False)
    else:
        backbone.set_input_embeddings(UsedEmbedding(table, torch.unique(used.long())))


def restore_token_table(backbone: Any) -> None:
    """Undo `prepare_token_table`: a plain, trainable table."""
    table = backbone.get_input_embeddings()
    if isinstance(table, UsedEmbedding):
        backbone.set_input_embeddings(table.restore())
    else:
        table.weight.requires_grad_(True)
