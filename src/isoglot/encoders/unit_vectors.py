"""Vectors of unit length, whose inner product is a cosine."""

from __future__ import annotations

import numpy as np

from isoglot.encoders.embedder import Vectors


def units(vectors: Vectors) -> Vectors:
    """Scale vectors (..., d) to unit length, float32; zero vectors stay zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
