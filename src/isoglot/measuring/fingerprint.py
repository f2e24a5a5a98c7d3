"""Fingerprint of a process's matrix products: processes with the same fingerprint compute bit-identical scores."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from isoglot.measuring.ranks import score_blocks


class Arithmetic(NamedTuple):
    """How a process computes matrix products.

    Attributes:
        blas: the library used by NumPy: name, version, kernels and threading layer.
        threads: the number of threads it uses.
        digest: hash of the result of a fixed product.
    """

    blas: str
    threads: int
    digest: str

    def __str__(self) -> str:
        return f"{self.blas}, {self.threads} threads, product {self.digest}"


def arithmetic_here(dimension: int) -> Arithmetic:
    """The arithmetic of this process for vectors of a dimension."""
    # SciPy may have loaded a BLAS of its own as well.
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
    # Numbers from modular arithmetic, since another version's random generator may give other numbers.
    numbers = np.arange(5000 * dimension, dtype=np.int64) * 48271 % 65521
    vectors = (numbers.reshape(5000, dimension) / 65521 - 0.5).astype(np.float32)
    digest = hashlib.blake2b(digest_size=8)
    for _, scores in score_blocks(vectors[:150], vectors, 2**24):
        digest.update(np.ascontiguousarray(scores).tobytes())
    return digest.hexdigest()
