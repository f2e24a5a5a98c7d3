"""How high a language's passages stand for a query."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.encoders.levels import language_levels, nearest_of

MISSING = np.nan


def test_the_level_is_the_middle_between_all_and_the_nearest():
    # Means of 92 passages: (92 * .2 + 8 * .4) / 100 and (92 * .6 + 8 * .4) / 100.
    means, nearest = np.array([[0.2, 0.6]]), np.array([[[0.9, 0.6, 0.3], [0.9, 0.8, 0.7]]])
    levels = language_levels(means, np.array([92, 92]), nearest)
    np.testing.assert_allclose(levels, [[(0.216 + 0.6) / 2, (0.584 + 0.8) / 2]])


def test_of_few_passages_the_missing_are_as_all_languages_are():
    # One passage of .9; the nearest of the others have .5 in the mean, so that all languages have .7.
    means, nearest = np.array([[0.9, 0.3]]), np.array([[[0.9, MISSING, MISSING], [0.6, 0.5, 0.4]]])
    levels = language_levels(means, np.array([1, 10**9]), nearest)
    mean, near = (0.9 + 8 * 0.6) / 9, (0.9 + 2 * 0.7) / 3
    np.testing.assert_allclose(levels, [[(mean + near) / 2, (0.3 + 0.5) / 2]])


def test_a_language_of_nothing_stands_where_all_do_and_changes_no_other():
    means, nearest = np.array([[0.4, 0.6]]), np.array([[[0.9, 0.8, 0.7], [0.9, 0.9, 0.9]]])
    counts = np.array([50, 20])
    without = language_levels(means, counts, nearest)
    empty = np.full((1, 1, 3), MISSING)
    levels = language_levels(
        np.hstack([means, [[0.0]]]), np.append(counts, 0), np.concatenate([nearest, empty], axis=1)
    )
    np.testing.assert_allclose(levels[:, :2], without)
    np.testing.assert_allclose(levels[0, 2], (0.5 + 0.85) / 2)
    with pytest.raises(ValueError, match="nothing was found"):
        language_levels(np.zeros((1, 1)), np.array([5]), empty)


def test_without_any_mean_the_nearest_tell_it_alone():
    nearest = np.array([[[0.9, 0.8, 0.7], [0.9, 0.9, 0.9]]])
    np.testing.assert_allclose(language_levels(np.zeros((1, 2)), np.zeros(2, np.int64), nearest), [[0.8, 0.9]])


@given(st.integers(0, 2**32), st.floats(-5, 5), st.floats(0.1, 10))
def test_a_shift_and_a_scale_of_all_scores_are_those_of_the_levels(seed, shift, scale):
    draw = np.random.default_rng(seed)
    nearest, counts = draw.random((2, 4, 3)), draw.integers(1, 300, 4)
    nearest[:, 0, 1:] = MISSING
    means = draw.random((2, 4))
    levels = language_levels(means, counts, nearest)
    moved = language_levels(scale * means + shift, counts, scale * nearest + shift)
    np.testing.assert_allclose(moved, scale * levels + shift, atol=1e-9)


def test_the_three_highest():
    np.testing.assert_array_equal(nearest_of(np.array([[1.0, 5, 3, 4], [9, 8, 7, 6]])), [[5, 4, 3], [9, 8, 7]])
    np.testing.assert_array_equal(nearest_of(np.array([[1.0, 2]])), [[2, 1, MISSING]])
    assert np.isnan(nearest_of(np.empty((2, 0)))).tolist() == [[True] * 3] * 2
