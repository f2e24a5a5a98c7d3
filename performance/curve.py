"""Cost curves: fit costs measured at some sizes, and extrapolate to another size."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls


class Fit(NamedTuple):
    """cost = sum of coefficient x term; `worst` is the largest relative error at the measured sizes."""

    coefficients: list[float]
    worst: float

    def at(self, terms):
        """The cost at the size that has these terms."""
        return float(np.dot(self.coefficients, list(terms)[: len(self.coefficients)]))


def fit(terms, costs):
    """Fit costs by non-negative least squares of relative errors.

    The model is a sum of terms, since a straight line in log-log space would mistake a fixed cost at small sizes for
    slow growth at large ones. Weighting by 1 / cost lets the small sizes determine the fixed part, which would
    otherwise be lost beside the largest costs.

    Args:
        terms: (sizes, terms), the most important first: with fewer sizes than terms, the last ones are left out.
        costs: (sizes,), positive.
    """
    costs = np.asarray(costs, float)
    terms = np.asarray(terms, float)[:, : len(costs)]
    coefficients, _ = nnls(terms / costs[:, None], np.ones(len(costs)))
    return Fit(coefficients.tolist(), float(np.abs(terms @ coefficients / costs - 1).max()))
