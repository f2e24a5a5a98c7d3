"""Pseudo-relevance feedback: move queries towards their best passages, which find translations better than they do.

Rocchio (1971) on vectors, as in Li and others (2021, arXiv 2108.11044) for dense retrieval: the mean of the best
passages' vectors is added to the query's, and the search repeated. The best passages are in the languages that the
encoder matches best with the query's; their vectors are closer than the query's to passages that say the same in other
languages. So, where the collection has translations, languages that ranked low come up.
"""

from __future__ import annotations

import numpy as np

from isoglot.encoders.embedder import Vectors
from isoglot.encoders.hubness import Hubs
from isoglot.encoders.unit_vectors import units

PASSAGES = 10
WEIGHT = 1.0
_SHARPNESS = 0.1


def drawn_to(
    queries: Vectors, found: Vectors, cosines: Vectors, hubs: Hubs | None = None, *, weight: float = WEIGHT
) -> Vectors:
    """Return queries moved towards their best passages.

    q' = q + weight * sum_i w_i p_i, scaled to unit length; w is the softmax of cosine / t, where t is a tenth of the
    difference between the first and the last cosine. So the result does not depend on the spread of an encoder's
    cosines.

    Args:
        queries: unit vectors (n, d).
        found: the best passages of each (n, k, d), unit vectors.
        cosines: of each with its query (n, k).
        hubs: of `csls`, whose two dimensions belong to the query and are kept.
        weight: of the passages' mean, relative to the query's 1.

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
