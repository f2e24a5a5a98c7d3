"""Float32 weights for training: updates of 3e-5 vanish in bfloat16 or float16, in which many models are stored."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer

from isoglot.training.settings import LoraSettings


def widen_weights(model: SentenceTransformer, lora: LoraSettings | None) -> None:
    """Convert a model's weights to float32, in place, before training.

    The frozen base weights of an adapter that is saved on its own keep their dtype, unless it is float16, which does
    not work with autocast to bfloat16.

    Args:
        model: the model to train.
        lora: adapters to train instead of the weights; None trains the weights.
    """
    types = {weights.dtype for weights in model.parameters()}
    if lora is None or lora.merge or torch.float16 in types:
        model.float()
