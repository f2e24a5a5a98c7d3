"""A passage's vector within its context: the whole is read, and the passage's own tokens are pooled.

A sentence says `it`, `there`, `the second one`; its paragraph says what that is. Reading the paragraph and taking the
mean of the sentence's tokens (late chunking, Günther and others 2024, arXiv 2409.04701) lets them know. Which sentence
of a paragraph answers is told less well so, and the sentences' own vectors tell it: both are taken together.
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
    """An encoder that reads a text within another one."""

    def encoded_within(self, texts: list[str], contexts: list[str], role: Role, *, what: str | None = None) -> Vectors:
        """Unit vectors (n, d) of texts as parts of their contexts; `what` names the progress bar."""
        ...


def with_contexts(encoder: Encoder) -> ContextEncoder:
    """The same encoder, which reads texts within others.

    Raises:
        InputError: it knows texts by themselves only.
    """
    if isinstance(encoder, ContextEncoder):
        return encoder
    raise InputError(
        f"passages in their context: {encoder.name} reads texts by themselves; it wants one Sentence Transformer that "
        "is opened in full here"
    )


def joined(own: Vectors, within: Vectors) -> Vectors:
    """Passages' own vectors and those within their contexts, mixed (n, d): shorter than 1 where these differ.

    A product with it is the mixture of the two cosines. Scaled to length 1 it ranks worse: a passage whose meaning
    hangs on its context would be found by more than either of them says.

    >>> joined(np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)).round(2).tolist()
    [[0.7, 0.3]]
    """
    return ((1 - SHARE) * own + SHARE * within).astype(np.float32)


def filled_up(vectors: Vectors, role: Role) -> Vectors:
    """Vectors (n, d) with one more dimension, so that cosines are what inner products were: (n, d + 1).

    A passage's is filled up to length 1 there, a query has nothing in it: what only knows unit vectors (an index, its
    small numbers, a database) ranks by the product.

    >>> passages = filled_up(np.array([[0.6, 0.0], [0.0, 1.0]], np.float32), "passage")
    >>> passages.round(2).tolist()
    [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]
    >>> (filled_up(np.array([[1.0, 0.0]], np.float32), "query") @ passages.T).round(2).tolist()
    [[0.6, 0.0]]
    """
    squares = np.einsum("ij,ij->i", vectors, vectors) if role == "passage" else np.ones(len(vectors))
    return np.column_stack([vectors, np.sqrt(np.maximum(1 - squares, 0))]).astype(np.float32)


def encode_in_context(model: Model, texts: list[str], contexts: list[str], *, what: str | None = None) -> Vectors:
    """Vectors of passages for a search by inner product: each by itself and within its context, mixed.

    Args:
        model: a Sentence Transformer that pools by the mean.
        texts: passages, such as sentences.
        contexts: what each stands in, such as its paragraph; one that its passage is not in is left out, and of several
            places in it the first one counts.
        what: name of the progress bar.

    Returns:
        float32 (n, d), of length 1 at most; not to be scaled (see `joined`).

    Raises:
        InputError: a model that cannot read so, or another number of contexts than texts.

    Example:
        With `model` as a Sentence Transformer.

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
