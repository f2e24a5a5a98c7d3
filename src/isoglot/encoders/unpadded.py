"""Encoding on a CPU without padding, with weights that were cast once.

A copy of the transformers layers stands beside the model; the model's other modules (pooling, projections) are used as
they are. The copy is in the precision wanted; in the model's own precision it shares the model's weights.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isoglot.encoders.packing import attend_packed, can_pack, first_position, packed
from isoglot.encoders.prepacking import prepack
from isoglot.encoders.tokens import Tokens

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class Unpadded:
    """Text vectors of a Sentence Transformer over a packable encoder. Threads may share one.

    Args:
        model: for which `can_unpad` says yes.
        half: layers compute in bfloat16; embeddings and what follows the layers stay in the model's own precision.
    """

    def __init__(self, model: SentenceTransformer, *, half: bool) -> None:
        self._model, self._backbone = model, model[0].auto_model
        self._state = _state(self._backbone)
        layers = self._backbone.encoder
        dtype = torch.bfloat16 if half else None
        shared: dict[int, Any] = {
            id(weights): weights if dtype is None else nn.Parameter(weights.detach().to(dtype), requires_grad=False)
            for weights in layers.parameters()
        }
        self._layers = copy.deepcopy(layers, shared).eval()
        attend_packed(self._layers)
        if half:
            prepack(self._layers)
        self._dtype = dtype

    def is_current(self) -> bool:
        """Whether the model's weights are still those that were copied."""
        return self._state == _state(self._backbone)

    def __call__(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        """Sentence embeddings (n, d) of texts by number, the longest first, as the model's last module gives them.

        To be called in inference mode, without autocast.
        """
        starts, ends = tokens.offsets[texts], tokens.offsets[texts + 1]
        lengths = torch.from_numpy(ends - starts)
        ids = torch.from_numpy(np.concatenate([tokens.ids[a:b] for a, b in zip(starts, ends, strict=True)]))
        firsts = torch.cumsum(lengths, 0) - lengths
        rows = torch.repeat_interleave(torch.arange(len(texts)), lengths)
        columns = torch.arange(len(ids)) - firsts[rows]
        embedded = self._backbone.embeddings(
            input_ids=ids.long()[None],
            position_ids=columns[None] + first_position(self._backbone),
            token_type_ids=torch.zeros(1, len(ids), dtype=torch.long),
        )
        with packed(firsts, lengths):
            hidden = self._layers(embedded if self._dtype is None else embedded.to(self._dtype)).last_hidden_state[0]
        width = int(lengths[0])
        places = rows * width + columns
        spread = embedded.new_zeros(len(texts) * width, hidden.shape[1])
        spread.index_copy_(0, places, hidden.to(embedded.dtype))
        mask = torch.arange(width) < lengths[:, None]
        features: dict[str, Any] = {
            "token_embeddings": spread.view(len(texts), width, -1),
            "attention_mask": mask.long(),
        }
        if tokens.prompt_length is not None:
            features["prompt_length"] = tokens.prompt_length
        for module in list(self._model)[1:]:
            features = module(features)
        found: Tensor = features["sentence_embedding"]
        return found


def can_unpad(model: SentenceTransformer) -> bool:
    """Whether a model's padding may be left out: a packable encoder on a CPU, then pooling and the like.

    Hooks on the model are kept working by leaving it as it is.
    """
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    first, *others = list(model)
    if type(first) is not Transformer:
        return False
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in (model, first, first.auto_model))
    return (
        model.device.type == "cpu"
        and not hooked
        and first.modality_config["text"] == {"method": "forward", "method_output_name": "last_hidden_state"}
        and first.module_output_name == "token_embeddings"
        and can_pack(first.auto_model)
        and bool(others)
        and type(others[0]) is Pooling
        and all(type(module) in (Dense, Normalize) for module in others[1:])
        and not any(weights.is_inference() for weights in model.parameters())
    )


def _state(backbone: Any) -> list[tuple[int, int]]:
    """Changes with every change of the layers' weights: where each lies, and how often it was written."""
    return [(weights.data_ptr(), weights._version) for weights in backbone.encoder.parameters()]
