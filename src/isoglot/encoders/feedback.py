"""Queries drawn to what they found (pseudo-relevance feedback): passages find translations better than queries do.

Rocchio (1971) on vectors, as Li and others (2021, arXiv 2108.11044) have it for dense retrieval: a query's vector is
added to the mean of its best passages', and searched for again. Those are in the languages that the encoder matches
best with the query's; their vectors are nearer to what says the same in other languages than the query's is. So
languages that were found late come up, where the collection has translations.
"""

from __future__ import annotations

import numpy as np

from isoglot.encoders.embedder import Vectors
from isoglot.encoders.hubs import Hubs
from isoglot.encoders.unit_vectors import units

PASSAGES = 10
WEIGHT = 1.0
_SHARPNESS = 0.1


def drawn_to(
    queries: Vectors, found: Vectors, cosines: Vectors, hubs: Hubs | None = None, *, weight: float = WEIGHT
) -> Vectors:
    """Queries moved towards their best passages.

    q' = q + weight * sum_i w_i p_i, brought to length 1; w is the softmax of cosine / t, where t is a tenth of the
    distance of the first cosine from the last. So nothing depends on how far an encoder spreads its cosines.

    Args:
        queries: unit vectors (n, d).
        found: the best passages of each (n, k, d), unit vectors.
        cosines: of each with its query (n, k).
        hubs: of `csls`, whose two dimensions belong to the query and stay.
        weight: of the passages' mean, the query's being 1.

    Returns:
        float32 (n, d), unit vectors; a query that found nothing stays as it is.
    """
    if not found.shape[1]:
        return units(queries)
    if hubs is not None:
        plain = drawn_to(units(queries[:, :-2]), units(found[..., :-2]), cosines, weight=weight)
        return hubs.widened(plain, "query")
    first, last = cosines.max(axis=1, keepdims=True), cosines.min(axis=1, keepdims=True)
    weights = np.exp((cosines - first) / np.maximum(_SHARPNESS * (first - last), 1e-6))
    weights /= weights.sum(axis=1, keepdims=True)
    return units(queries + weight * np.einsum("nk,nkd->nd", weights, found))
