"""How products are computed in a process: two that do it in the same way give the same bits."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from isoglot.measuring.ranks import score_blocks


class Arithmetic(NamedTuple):
    """How a process multiplies.

    Attributes:
        blas: the library behind NumPy: its name, version, kernels, and how it makes threads.
        threads: how many it takes.
        digest: of the bits of a product that is the same everywhere else.
    """

    blas: str
    threads: int
    digest: str

    def __str__(self) -> str:
        return f"{self.blas}, {self.threads} threads, product {self.digest}"


def arithmetic_here(dimension: int) -> Arithmetic:
    """How this process multiplies vectors of so many numbers."""
    # One that SciPy brought may be loaded too, or not yet.
    found = ThreadpoolController().select(user_api="blas").info()
    numpys = [each for each in found if "numpy" in str(each.get("filepath"))] or found
    said = [
        " ".join(
            str(each[fact]) for fact in ("internal_api", "version", "architecture", "threading_layer") if fact in each
        )
        for each in numpys
    ]
    threads = max((int(each["num_threads"]) for each in numpys), default=0)
    return Arithmetic(" + ".join(sorted(said)) or "unknown BLAS", threads, _digest(dimension))


def _digest(dimension: int) -> str:
    # Whole numbers divided by a prime, since a generator of random ones may be another one's elsewhere.
    numbers = np.arange(5000 * dimension, dtype=np.int64) * 48271 % 65521
    vectors = (numbers.reshape(5000, dimension) / 65521 - 0.5).astype(np.float32)
    digest = hashlib.blake2b(digest_size=8)
    for _, scores in score_blocks(vectors[:150], vectors, 2**24):
        digest.update(np.ascontiguousarray(scores).tobytes())
    return digest.hexdigest()
