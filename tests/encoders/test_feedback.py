"""Queries drawn to what they found: by hand, and what must not matter."""

import numpy as np
import pytest

from isoglot.encoders.feedback import PASSAGES, WEIGHT, drawn_to
from isoglot.encoders.hubness import hubs
from isoglot.encoders.unit_vectors import units


def drawn_by_hand(query, found, cosines):
    """The formula of the docstring for one query, in float64 and without anything shared."""
    gap = (max(cosines) - min(cosines)) / 10
    weights = [np.exp((cosine - max(cosines)) / gap) for cosine in cosines]
    mean = sum(weight * passage for weight, passage in zip(weights, found.astype(float), strict=True)) / sum(weights)
    moved = query.astype(float) + WEIGHT * mean
    return moved / np.linalg.norm(moved)


def some(n=5, k=PASSAGES, d=16, seed=0):
    rng = np.random.default_rng(seed)
    queries, found = units(rng.normal(size=(n, d))), units(rng.normal(size=(n, k, d)))
    return queries, found, np.einsum("nd,nkd->nk", queries, found)


def test_the_formula_by_hand():
    queries, found, cosines = some()
    moved = drawn_to(queries, found, cosines)
    assert moved.dtype == np.float32
    expected = [drawn_by_hand(*one) for one in zip(queries, found, cosines, strict=True)]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_one_passage_has_all_the_weight_and_none_changes_nothing():
    queries, found, cosines = some(k=1)
    np.testing.assert_allclose(drawn_to(queries, found, cosines), units(queries + found[:, 0]), atol=1e-6)
    np.testing.assert_allclose(drawn_to(queries, found[:, :0], cosines[:, :0]), queries, atol=1e-6)


def test_equal_cosines_count_alike():
    queries, found, _ = some(n=1, k=3)
    moved = drawn_to(queries, found, np.full((1, 3), 0.7, np.float32))
    np.testing.assert_allclose(moved, units(queries + found.mean(axis=1)), atol=1e-6)


@pytest.mark.parametrize("squeezed", [0.1, 1.0])
def test_how_far_an_encoder_spreads_its_cosines_does_not_matter(squeezed):
    """Encoders of the E5 family give all pairs .7 to .9: what counts is who stands out among the ten."""
    queries, found, cosines = some()
    np.testing.assert_allclose(
        drawn_to(queries, found, 0.8 + squeezed * cosines), drawn_to(queries, found, cosines), atol=1e-4
    )


def test_the_dimensions_of_csls_stay_the_querys():
    queries, found, cosines = some(d=12)
    bank = hubs({"de": units(np.random.default_rng(3).normal(size=(40, 12)))}, None, neighbours=5)
    wide_queries = bank.widened(queries, "query")
    wide = np.stack([bank.widened(passages, "passage") for passages in found])
    moved = drawn_to(wide_queries, wide, cosines, bank)
    np.testing.assert_allclose(moved, bank.widened(drawn_to(queries, found, cosines), "query"), atol=1e-6)
    np.testing.assert_allclose(moved[:, -2:], wide_queries[:, -2:], atol=1e-6)
