"""One encoder for many threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from isoglot.encoders.encoding import Encoded, Role, encode
from isoglot.serve.served import Embed

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def one_at_a_time(model: SentenceTransformer) -> SentenceTransformer:
    """Let one thread at a time tokenise: tokenizers change their own settings at every call and break when shared."""
    lock, preprocess = threading.Lock(), model.preprocess

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return preprocess(*args, **kwargs)

    model.preprocess = locked
    return model


def embedder(model: SentenceTransformer) -> Embed:
    """Texts and their role to unit vectors, with a model made safe for threads by `one_at_a_time`."""

    def embed(texts: list[str], role: Role) -> Encoded:
        return encode(model, texts, role)

    return embed
