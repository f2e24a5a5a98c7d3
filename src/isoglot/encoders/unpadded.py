"""Encode on a CPU without padding, with weights that were converted and laid out once.

The transformer layers are isoglot's own; the model's other modules (embeddings, pooling, projections) are used as is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.activations import GELUActivation

from isoglot.encoders.adapters import is_linear, linear_weights
from isoglot.encoders.int8 import known_passages, layers_in
from isoglot.encoders.layers import NORMS, PRODUCTS, Shape
from isoglot.encoders.loading import preset_of, prompt_of
from isoglot.encoders.packing import can_pack, first_position
from isoglot.encoders.tokens import Tokens, tokenize

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class Unpadded:
    """Encodes texts with a Sentence Transformer over a packable encoder. Threads may share one.

    Args:
        model: one for which `can_unpad` is true.
        precision: of the layers: bf16, fp32 (their own), or int8 where that is fast, combined with the processor's
            best precision; embeddings and the modules after the layers keep the model's own.
    """

    def __init__(self, model: SentenceTransformer, precision: Literal["bf16", "fp32", "int8"]) -> None:
        self._model, self._backbone = model, model[0].auto_model
        self._state = _state(model)
        config, layers = self._backbone.config, self._backbone.encoder.layer
        activation = layers[0].intermediate.intermediate_act_fn
        shape = Shape(
            len(layers),
            config.num_attention_heads,
            config.layer_norm_eps,
            None if type(activation) is GELUActivation else activation,
        )
        self._layers = layers_in(precision, _weights(layers), shape, self._known)

    def is_current(self) -> bool:
        """Return whether the model still has the same modules, in the same mode, with the weights that were copied."""
        return self._state == _state(self._model)

    def __call__(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        """Return sentence embeddings (n, d) of texts given by index, longest first: the last module's output.

        Call in inference mode, without autocast.
        """
        return self.both(tokens, texts)[1]

    def both(self, tokens: Tokens, texts: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return the result of `token_vectors`, and the sentence embeddings computed from it."""
        hidden = self.token_vectors(tokens, texts)
        lengths = torch.from_numpy(tokens.offsets[texts + 1] - tokens.offsets[texts])
        rows = torch.repeat_interleave(torch.arange(len(texts)), lengths)
        columns = torch.arange(len(rows)) - (torch.cumsum(lengths, 0) - lengths)[rows]
        width = int(lengths[0])
        places = rows * width + columns
        spread = hidden.new_zeros(len(texts) * width, hidden.shape[1])
        spread.index_copy_(0, places, hidden)
        mask = torch.arange(width) < lengths[:, None]
        features: dict[str, Any] = {
            "token_embeddings": spread.view(len(texts), width, -1),
            "attention_mask": mask.long(),
            **tokens.more,
        }
        for module in list(self._model)[1:]:
            features = module(features)
        return hidden, features["sentence_embedding"]

    def token_vectors(self, tokens: Tokens, texts: NDArray[np.int64]) -> Tensor:
        """Return the last layer's output for every token (tokens, d), concatenated; texts as in `__call__`."""
        embedded, lengths = self._embedded(tokens, texts)
        return self._layers(embedded, lengths).to(embedded.dtype)

    def _known(self) -> tuple[Tensor, NDArray[np.int64]]:
        """Return embeddings of the calibration passages, as `layers_in` takes them."""
        model = self._model
        length = preset_of(model).encode_length
        length = min(length, model.max_seq_length or length)
        tokens = tokenize(model, known_passages(), prompt=prompt_of(model, "passage"), length=length, role="passage")
        with torch.inference_mode():
            return self._embedded(tokens, np.argsort(-np.diff(tokens.offsets), kind="stable"))

    def _embedded(self, tokens: Tokens, texts: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        """Return the input of the first layer (tokens, d), and the number of tokens of each text."""
        starts, ends = tokens.offsets[texts], tokens.offsets[texts + 1]
        own = ends - starts
        lengths = torch.from_numpy(own)
        ids = torch.from_numpy(np.concatenate([tokens.ids[a:b] for a, b in zip(starts, ends, strict=True)]))
        columns = torch.arange(len(ids)) - torch.repeat_interleave(torch.cumsum(lengths, 0) - lengths, lengths)
        embedded = self._backbone.embeddings(
            input_ids=ids.long()[None],
            position_ids=columns[None] + first_position(self._backbone),
            token_type_ids=torch.zeros(1, len(ids), dtype=torch.long),
        )
        return embedded[0], own


def can_unpad(model: SentenceTransformer) -> bool:
    """Return whether a model can run without padding: a packable encoder on a CPU, then pooling and the like.

    Models with hooks are excluded, so that the hooks keep working.
    """
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    first, *others = list(model)
    if type(first) is not Transformer:
        return False
    watched = (model, first, *first.auto_model.modules())
    hooked = any(part._forward_hooks or part._forward_pre_hooks for part in watched)
    return (
        model.device.type == "cpu"
        and not hooked
        and first.modality_config["text"] == {"method": "forward", "method_output_name": "last_hidden_state"}
        and first.module_output_name == "token_embeddings"
        and can_pack(first.auto_model)
        and all(_plain(layer) for layer in first.auto_model.encoder.layer)
        and bool(others)
        and type(others[0]) is Pooling
        and all(type(module) in (Dense, Normalize) for module in others[1:])
        and not any(weights.is_inference() for weights in model.parameters())
    )


def _plain(layer: nn.Module) -> bool:
    """Return whether a layer consists of plain modules, so that its weights determine what it computes."""
    norms = all(type(layer.get_submodule(name)) is nn.LayerNorm for name in NORMS)
    return norms and all(is_linear(layer.get_submodule(name)) for name in PRODUCTS)


def _weights(layers: nn.ModuleList) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for number, layer in enumerate(layers):
        for name in NORMS:
            norm: Any = layer.get_submodule(name)
            found |= {f"layer.{number}.{name}.weight": norm.weight, f"layer.{number}.{name}.bias": norm.bias}
        for name in PRODUCTS:
            weight, bias = linear_weights(layer.get_submodule(name))
            found |= {f"layer.{number}.{name}.weight": weight, f"layer.{number}.{name}.bias": bias}
    return found


def _state(model: nn.Module) -> list[object]:
    """Return a value that changes when a module is replaced, a hook is added, or a weight is modified.

    Computed at every call, and therefore without torch's iterators over modules and parameters, which take eight times
    as long.
    """
    found: list[object] = []
    left: list[nn.Module] = [model]
    while left:
        module = left.pop()
        found += (module, module.training, len(module._forward_hooks), len(module._forward_pre_hooks))
        for weights in module._parameters.values():
            if weights is not None:
                found += (weights.data_ptr(), weights._version)  # address, and number of in-place changes
        left.extend(part for part in module._modules.values() if part is not None)
    return found
