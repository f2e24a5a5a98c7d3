"""What a served model can do besides encoding: truncate vectors to fewer dimensions, decode its own token ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoded, Vectors
from isoglot.encoders.encoder_process import EncoderProcess
from isoglot.encoders.light import LightEmbedder


def dimensions_of(embedder: object, encoded: Encoded) -> tuple[int, ...]:
    """Return the numbers of dimensions a model's vectors can have, ascending: its own, and those to truncate to.

    A model trained for truncation (Matryoshka representation learning, Kusupati et al. 2022) says so in its
    `config.json`, with `matryoshka_dimensions` (a list) or `is_matryoshka`, the names that vLLM uses too.

    Args:
        embedder: the model.
        encoded: its output for some text, from which its own dimension is read.
    """
    own = encoded.vectors.shape[1]
    listed = _told(embedder, "matryoshka_dimensions")
    if isinstance(listed, (list, tuple)) and listed:
        return tuple(sorted({*(int(size) for size in listed if 1 <= int(size) < own), own}))
    return tuple(range(1, own + 1)) if _told(embedder, "is_matryoshka") else (own,)


def shortened(vectors: Vectors, dimensions: int) -> Vectors:
    """Truncate vectors (n, d) to their first `dimensions` and normalize them again: (n, dimensions)."""
    cut = vectors[:, :dimensions]
    if cut.shape == vectors.shape:
        return vectors
    norms = np.linalg.norm(cut, axis=1, keepdims=True)
    unit: Vectors = (cut / np.where(norms > 0, norms, 1)).astype("<f4")
    return unit


class TokenIdsError(InputError):
    """Token ids that a model cannot decode; the message may be shown to the client."""


def decoded(embedder: object, lists: list[list[int]]) -> list[str]:
    """Decode token ids of a model's own tokenizer into texts.

    Raises:
        TokenIdsError: the model exposes no tokenizer, or the ids are not in its vocabulary.
    """
    if isinstance(embedder, EncoderProcess):
        return embedder.ask(decoded, lists)
    holder = embedder if isinstance(embedder, LightEmbedder) else getattr(embedder, "model", None)
    tokenizer: Any = getattr(holder, "tokenizer", None)
    if not hasattr(tokenizer, "decode"):
        raise TokenIdsError("input: this model has no tokenizer that can decode token ids; send texts")
    known = tokenizer.get_vocab_size() if isinstance(embedder, LightEmbedder) else len(tokenizer)
    try:
        if not all(0 <= number < known for ids in lists for number in ids):
            raise ValueError("a token id beyond the vocabulary")
        return [str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in lists]
    except (IndexError, OverflowError, TypeError, ValueError):
        raise TokenIdsError("input: token ids that this model's tokenizer does not have") from None


def _told(embedder: object, name: str) -> Any:
    """As `_said`, but also for an embedder in a separate process."""
    return embedder.ask(_said, name) if isinstance(embedder, EncoderProcess) else _said(embedder, name)


def _said(embedder: object, name: str) -> Any:
    """Return a value of the `config.json` of an embedder's transformer; None if it has neither."""
    if isinstance(embedder, LightEmbedder):
        return embedder.config.get(name)
    model: Any = getattr(embedder, "model", None)
    try:
        return getattr(model[0].auto_model.config, name, None)
    except (AttributeError, IndexError, KeyError, TypeError):
        return None
