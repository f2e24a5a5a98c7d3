"""Vectors of length 1, whose inner product is a cosine."""

from __future__ import annotations

import numpy as np

from isoglot.encoders.embedder import Vectors


def units(vectors: Vectors) -> Vectors:
    """Vectors (..., d) brought to length 1, float32; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
