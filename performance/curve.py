"""Cost curves: what was measured at some sizes, fitted, and read off at another size."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls


class Fit(NamedTuple):
    """cost = sum of coefficient x term; `worst` is the largest relative miss at the measured sizes."""

    coefficients: list[float]
    worst: float

    def at(self, terms):
        """The cost at a size, of which these are the terms."""
        return float(np.dot(self.coefficients, list(terms)[: len(self.coefficients)]))


def fit(terms, costs):
    """Least squares of relative errors, no coefficient below zero.

    A sum of named terms, since a straight line in log-log reads a fixed cost at small sizes as slow growth at large
    ones. Weighing by 1 / cost lets the small sizes tell the fixed part, which the largest would drown.

    Args:
        terms: (sizes, terms), the most important first: with fewer sizes than terms the last ones are left out.
        costs: one a size, over zero.
    """
    costs = np.asarray(costs, float)
    terms = np.asarray(terms, float)[:, : len(costs)]
    coefficients, _ = nnls(terms / costs[:, None], np.ones(len(costs)))
    return Fit(coefficients.tolist(), float(np.abs(terms @ coefficients / costs - 1).max()))
