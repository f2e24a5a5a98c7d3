"""A Sentence Transformer behind a lock: tokenizers are not made for several threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from isoglot.encode import Encoded, Role, encode
from isoglot.serve.collections import Embed

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def embedder(model: SentenceTransformer) -> Embed:
    """Encode with a model, one call at a time."""
    lock = threading.Lock()

    def embed(texts: list[str], role: Role) -> Encoded:
        with lock:
            return encode(model, texts, role)

    return embed
