"""Vectors of passages in their context: encode the whole context, pool the passage's own tokens.

A sentence says `it`, `there`, `the second one`; its paragraph says what that is. Encoding the paragraph and averaging
the sentence's tokens (late chunking, Günther and others 2024, arXiv 2409.04701) resolves these. But such vectors tell
the sentences of a paragraph apart less well than the sentences' own vectors do: so both are combined.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoder, Model, Role, Vectors
from isoglot.encoders.encoding import as_encoder
from isoglot.encoders.windows import require_contexts

SHARE = 0.3


@runtime_checkable
class ContextEncoder(Encoder, Protocol):
    """An encoder that can encode a text within another one."""

    def encoded_within(self, texts: list[str], contexts: list[str], role: Role, *, what: str | None = None) -> Vectors:
        """Return unit vectors (n, d) of texts as parts of their contexts; `what` names the progress bar."""
        ...


def with_contexts(encoder: Encoder) -> ContextEncoder:
    """Return the same encoder if it can encode texts within their contexts.

    Raises:
        InputError: it only encodes texts alone.
    """
    if isinstance(encoder, ContextEncoder):
        return encoder
    raise InputError(
        f"passages in their context: {encoder.name} encodes texts without context; use one Sentence Transformer that "
        "is fully opened here"
    )


def joined(own: Vectors, within: Vectors) -> Vectors:
    """Mix passages' own vectors with those within their contexts, (n, d): norms are below 1 where the two differ.

    The inner product with the mix is the mix of the two cosines. Normalising it ranks worse: a passage whose meaning
    depends on its context would score higher than either vector says.

    >>> joined(np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)).round(2).tolist()
    [[0.7, 0.3]]
    """
    return ((1 - SHARE) * own + SHARE * within).astype(np.float32)


def filled_up(vectors: Vectors, role: Role) -> Vectors:
    """Append a dimension to vectors (n, d), so that cosines equal the former inner products: (n, d + 1).

    It brings a passage's norm to 1, and is 0 for a query: whatever assumes unit vectors (an index, its
    quantisation, a database) then ranks by the inner product.

    >>> passages = filled_up(np.array([[0.6, 0.0], [0.0, 1.0]], np.float32), "passage")
    >>> passages.round(2).tolist()
    [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]
    >>> (filled_up(np.array([[1.0, 0.0]], np.float32), "query") @ passages.T).round(2).tolist()
    [[0.6, 0.0]]
    """
    squares = np.einsum("ij,ij->i", vectors, vectors) if role == "passage" else np.ones(len(vectors))
    return np.column_stack([vectors, np.sqrt(np.maximum(1 - squares, 0))]).astype(np.float32)


def encode_in_context(model: Model, texts: list[str], contexts: list[str], *, what: str | None = None) -> Vectors:
    """Return vectors of passages for search by inner product: a mix of each passage alone and within its context.

    Args:
        model: a Sentence Transformer with mean pooling.
        texts: passages, such as sentences.
        contexts: one per passage, such as its paragraph; ignored where it does not contain the passage; the first
            occurrence counts.
        what: name of the progress bar.

    Returns:
        float32 (n, d), of norm at most 1; not to be normalised (see `joined`).

    Raises:
        InputError: a model that cannot encode within contexts, or contexts and texts that differ in number.

    Example:
        `model` is a Sentence Transformer.

        >>> from isoglot.encoders import encode_in_context
        >>> page = "The Ararat is a mountain. It is 5137 m high."
        >>> vectors = encode_in_context(model, ["It is 5137 m high."], [page])
        >>> bool(0.5 < (vectors**2).sum() <= 1.0001)
        True
    """
    require_contexts(texts, contexts)
    reader = with_contexts(as_encoder(model))
    own = reader.encoded(texts, "passage", what=what).vectors
    return joined(own, reader.encoded_within(texts, contexts, "passage", what=what))
