"""Token vectors quantised to a byte per dimension, stored so that late interaction need not re-encode passages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from isoglot.encoders.token_vectors import TokenVectors
from isoglot.encoders.unit_vectors import units

QuantisedTokens = NDArray[np.int8]
"""The tokens of one text, (n, d) with n at least 1: each a unit vector scaled so that its largest component is ±127."""


def quantise_tokens(tokens: TokenVectors) -> list[QuantisedTokens]:
    """Return each text's tokens, quantised.

    >>> one = TokenVectors(np.array([[0.6, 0.8], [1, 0]], np.float32), np.array([0, 2]), np.ones(2, np.float32) / 2)
    >>> [text.tolist() for text in quantise_tokens(one)]
    [[[95, 127], [127, 0]]]
    """
    largest = np.abs(tokens.vectors).max(axis=1, keepdims=True, initial=0)
    numbers = np.rint(tokens.vectors * (127 / np.where(largest > 0, largest, 1))).astype(np.int8)
    return np.split(numbers, tokens.offsets[1:-1]) if len(tokens) else []


def opened_tokens(kept: Sequence[QuantisedTokens]) -> TokenVectors:
    """Return the unit vectors of one text or more; all tokens of a text get equal weight, as passages' tokens do.

    >>> opened_tokens([np.array([[95, 127], [127, 0]], np.int8)]).vectors.round(2).tolist()
    [[0.6, 0.8], [1.0, 0.0]]
    """
    lengths = np.array([len(text) for text in kept])
    even = np.repeat(1 / lengths, lengths).astype(np.float32)
    return TokenVectors(units(np.concatenate(kept).astype(np.float32)), np.append(0, np.cumsum(lengths)), even)
