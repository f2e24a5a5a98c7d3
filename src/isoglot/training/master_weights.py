"""What trains has float32: steps of 3e-5 vanish in weights of 8 or 11 bits of mantissa, as many folders hold them."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer

from isoglot.training.settings import LoraSettings


def widen_weights(model: SentenceTransformer, lora: LoraSettings | None) -> None:
    """Give a model's weights float32, in place, before it trains.

    What an adapter is saved without keeps its own type, but for float16: autocast to bfloat16 does not go with it.

    Args:
        model: about to train.
        lora: adapters in place of the weights.
    """
    types = {weights.dtype for weights in model.parameters()}
    if lora is None or lora.merge or torch.float16 in types:
        model.float()
