import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from isoglot.core.errors import InputError
from isoglot.measuring import bootstrap
from isoglot.measuring.bootstrap import (
    Interval,
    group_weights,
    holm,
    interval,
    macro_mean,
    minimal_detectable,
    paired_difference,
)


def holed(rng, shape, share):
    values = rng.standard_normal(shape)
    values[rng.random(shape) < share] = np.nan
    return values


def test_weights_are_multinomial():
    weights = group_weights(5, 20_000, np.random.default_rng(0))
    assert (weights.shape, weights.dtype) == ((20_000, 5), np.float32)
    assert (weights.sum(axis=1) == 5).all()
    # each weight is binomial(5, 1/5): mean 1, variance .8; two of them have covariance -5/25 = -.2
    np.testing.assert_allclose(np.cov(weights.T), np.eye(5) - 0.2, atol=0.04)


def test_macro_mean_by_hand():
    # cells: mean(1, 0) = .5; mean(0) = 0; the third has no value
    assert macro_mean(np.array([[1, 0, np.nan], [0, np.nan, np.nan]])) == 0.25
    assert math.isnan(macro_mean(np.full((2, 3), np.nan)))


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 5), st.sampled_from([0, 0.3, 0.8]))
def test_bootstrap_equals_a_loop(seed, groups, cells, share):
    values = holed(np.random.default_rng(seed), (groups, cells), share)
    if np.isnan(values).all():
        return
    used = values[~np.isnan(values).all(axis=1)]
    drawn_weights = []

    def noted(*args):
        drawn_weights.append(group_weights(*args))
        return drawn_weights[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "group_weights", noted)
        found = interval(values, resamples=20, seed=seed, level=0.5)
    n = len(used)
    expected = []
    for weight in np.concatenate(drawn_weights):
        drawn = np.repeat(used, weight.astype(int), axis=0)
        means = [np.mean(cell[~np.isnan(cell)]) for cell in drawn.T if not np.isnan(cell).all()]
        expected.append(np.mean(means))
    assert len(expected) == 20
    # As far out as Student's t of n - 1 degrees of freedom is wider than the normal distribution, but within the draws.
    wide = scipy_stats.t.ppf(0.75, max(n - 1, 1)) * math.sqrt(n / max(n - 1, 1))
    tail = max(scipy_stats.norm.cdf(-wide), 1 / 21)
    low, high = np.quantile(expected, (tail, 1 - tail))
    error = np.std(expected, ddof=1) * math.sqrt(n / max(n - 1, 1))
    np.testing.assert_allclose((found.low, found.high, found.standard_error), (low, high, error), atol=1e-5)


def test_interval_agrees_with_scipy():
    x = np.random.default_rng(5).gamma(2, size=200)
    ours = interval(x[:, None], resamples=20_000)
    theirs = scipy_stats.bootstrap((x,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.estimate == pytest.approx(x.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=width / 30)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=width / 30)
    assert ours.standard_error == pytest.approx(theirs.standard_error, rel=0.03)
    assert (ours.p, ours.groups) == (None, 200)


def test_groups_are_resampled_whole():
    """Eleven copies of one column say no more than one; eleven independent columns say more."""
    rng = np.random.default_rng(6)
    column = rng.standard_normal((300, 1))
    one = interval(column, resamples=4000)
    assert interval(np.repeat(column, 11, axis=1), resamples=4000).standard_error == pytest.approx(one.standard_error)
    many = interval(rng.standard_normal((300, 11)), resamples=4000)
    assert many.standard_error < one.standard_error / 2.5


def test_groups_without_values_do_not_count():
    values = holed(np.random.default_rng(7), (40, 3), 0.2)
    padded = np.concatenate((np.full((60, 3), np.nan), values))
    assert interval(padded, resamples=500) == interval(values, resamples=500)


def test_paired_difference_uses_what_both_have():
    rng = np.random.default_rng(8)
    a, b = holed(rng, (80, 4), 0.2), holed(rng, (80, 4), 0.2)
    found = paired_difference(a, b, resamples=3000)
    plain = interval(a - b, resamples=3000)
    assert found.estimate == pytest.approx(macro_mean(a - b))
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))
    assert found.groups == (~np.isnan(a - b)).any(axis=1).sum() < 80
    flipped = paired_difference(b, a, resamples=3000)
    assert (flipped.low, flipped.high) == pytest.approx((-found.high, -found.low))
    assert flipped.p == pytest.approx(found.p)


def test_a_loss_is_as_far_from_zero_as_a_gain():
    """Also where no resample of a few groups reaches zero, and only their spread tells how far it is."""
    gained, nothing = np.linspace(0.3, 0.5, 12)[:, None], np.zeros((12, 1))
    gain, loss = paired_difference(gained, nothing, resamples=200), paired_difference(nothing, gained, resamples=200)
    assert gain.low > 0 > loss.high
    assert gain.p == pytest.approx(loss.p) == pytest.approx(2 / 201)


def test_pairing_removes_what_both_runs_share():
    rng = np.random.default_rng(9)
    a = rng.standard_normal((200, 3))
    b = a + 0.1 + 0.01 * rng.standard_normal((200, 3))
    found = paired_difference(b, a, resamples=999)
    assert found.low > 0.09
    assert found.high < 0.11
    assert found.p == pytest.approx(2 / 1000)  # no difference at or below zero: 2 (0 + 1) / (999 + 1)
    assert interval(a, resamples=999).standard_error > 10 * found.standard_error


def test_few_groups_are_never_significant():
    # A sign-flip test of G groups that all gained: 2 of the 2^G ways of signs are as extreme.
    for groups, least in ((1, 1.0), (2, 0.5), (5, 1 / 16), (6, 1 / 32)):
        a = np.linspace(0.1, 0.3, groups)[:, None]
        assert paired_difference(a, np.zeros_like(a), resamples=2000).p == pytest.approx(least)
    # Of groups that the run answers only in other cells, a slice knows nothing.
    values = np.array([[0.1, 0.2], [0.2, 0.3], *[[math.nan, 0.5]] * 30])
    key = ("m", "map")
    found = bootstrap.paired_differences(
        {key: values}, {key: 0 * values}, {key: {"few": np.array([0]), "all": np.arange(2)}}, resamples=2000
    )
    assert (found[key]["few"].groups, found[key]["few"].p) == (2, 0.5)
    assert found[key]["all"].p < 0.01


def test_a_run_against_itself():
    values = np.random.default_rng(10).random((30, 4))
    found = paired_difference(values, values, resamples=200)
    assert found == Interval(0, 0, 0, 1, 30, 0)


def test_seeds_alone_give_students_t():
    """Where groups do not vary, all that is uncertain is the seeds: two samples with a common variance."""
    a, b = np.array([0.61, 0.6, 0.62]), np.array([0.57, 0.585, 0.58, 0.592])
    runs = [np.ones((len(own), 20, 2)) * own[:, None, None] for own in (a, b)]
    found, known = paired_difference(*runs, resamples=40_000), scipy_stats.ttest_ind(a, b)
    bounds = known.confidence_interval()
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=0.03 * (bounds.high - bounds.low))
    assert found.p == pytest.approx(known.pvalue, rel=0.1)
    assert found.standard_error == pytest.approx((bounds.high - bounds.low) / 2 / scipy_stats.t.ppf(0.975, 5))
    one, bounds = interval(runs[1], resamples=40_000), scipy_stats.ttest_1samp(b, 0).confidence_interval()
    assert (one.low, one.high) == pytest.approx((bounds.low, bounds.high), abs=0.03 * (bounds.high - bounds.low))
    # A single seed is taken as it is: the other run's are one sample.
    found, known = paired_difference(runs[1], runs[0][1], resamples=40_000), scipy_stats.ttest_1samp(b, a[1])
    assert found.p == pytest.approx(known.pvalue, rel=0.1)


def test_single_seeds_are_the_run():
    a, b = np.random.default_rng(1).random((2, 1, 20, 2))
    assert paired_difference(a, b, resamples=300) == paired_difference(a[0], b[0], resamples=300)
    three = np.random.default_rng(2).random((3, 20, 2))
    three[1, :5] = np.nan  # missing in one seed, so missing in all
    assert paired_difference(three, three, resamples=300).groups == 15


def test_few_groups_are_as_uncertain_as_students_t_says():
    rng = np.random.default_rng(21)
    for groups in (12, 20, 40):
        x, y = rng.standard_normal((2, groups))
        found, known = paired_difference(x[:, None], y[:, None], resamples=40_000), scipy_stats.ttest_rel(x, y)
        bounds = known.confidence_interval()
        wide = bounds.high - bounds.low
        assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high), abs=0.08 * wide)
        assert found.p == pytest.approx(known.pvalue, abs=0.03)
        assert found.standard_error == pytest.approx(wide / 2 / scipy_stats.t.ppf(0.975, groups - 1), rel=0.02)


def test_equal_seeds_change_nothing():
    rng = np.random.default_rng(11)
    a, b = rng.random((50, 3)), rng.random((50, 3))
    many = paired_difference(np.stack([a] * 3), np.stack([b] * 2), resamples=500)
    one = paired_difference(a, b, resamples=500)
    assert (many.low, many.high, many.p) == pytest.approx((one.low, one.high, one.p))


def test_chunks_change_nothing(monkeypatch):
    a, b = np.random.default_rng(12).random((2, 2, 50, 3))
    whole = paired_difference(a, b, resamples=500)
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 5000)
    chunked = paired_difference(a, b, resamples=500)
    assert (chunked.low, chunked.high) == pytest.approx((whole.low, whole.high))
    assert chunked.standard_error == pytest.approx(whole.standard_error)


def test_intervals_cover_and_tests_hold_their_level():
    """400 data sets, correlated cells: intervals cover, tests reject a true null, as often as they say."""
    rng, covered, rejected, rounds = np.random.default_rng(13), 0, 0, 400
    for seed in range(rounds):
        values = rng.standard_normal((60, 1)) + rng.standard_normal((60, 4))
        found = interval(values, resamples=400, seed=seed)
        covered += found.low <= 0 <= found.high
        paired = paired_difference(values, rng.standard_normal((60, 4)), resamples=400, seed=seed)
        rejected += paired.p < 0.05
    # binomial(400, .05) has a standard deviation of .011; the percentile interval is a little narrow at 60
    assert 0.90 < covered / rounds < 0.985
    assert 0.015 < rejected / rounds < 0.10


@pytest.mark.parametrize(("groups", "seeds", "between"), [(10, 1, 0.0), (50, 2, 0.03), (50, 3, 0.03), (50, 3, 0.0)])
def test_what_is_called_significant_is_not_chance(groups, seeds, between):
    """600 pairs of runs without a true difference: with few groups or seeds, too, one in twenty may differ."""
    rng, rejected, covered, rounds = np.random.default_rng(22), 0, 0, 600
    for seed in range(rounds):
        questions = rng.standard_normal((groups, 1)) * 0.3
        noise = rng.standard_normal((2, seeds, groups, 3)) * 0.1
        runs = questions + noise + rng.standard_normal((2, seeds, 1, 1)) * between
        found = paired_difference(*runs, resamples=400, seed=seed)
        rejected += found.p < 0.05
        covered += found.low <= 0 <= found.high
    # binomial(600, .05) has a standard deviation of .009
    assert rejected / rounds < 0.08
    assert covered / rounds > 0.92


def test_holm_by_hand():
    # sorted .01 .01 .03 .2 times 4 3 2 1: .04 .03 .06 .2, made monotone: .04 .04 .06 .2
    np.testing.assert_allclose(holm([0.2, 0.01, 0.03, 0.01]), [0.2, 0.04, 0.06, 0.04])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])
    assert len(holm([])) == 0
    for bad in ([0.1, math.nan], [1.5], [[0.1]]):
        with pytest.raises(InputError, match="p-values"):
            holm(bad)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_as_the_sequential_procedure_does(p):
    """Holm's own statement: reject while the i-th smallest of m is at most level / (m - i + 1)."""
    adjusted = holm(p)
    for level in (0.01, 0.05, 0.3):
        rejected = []
        for i, index in enumerate(np.argsort(p, kind="stable")):
            if p[index] * (len(p) - i) > level:
                break
            rejected.append(index)
        assert sorted(rejected) == np.flatnonzero(adjusted <= level).tolist()


def test_minimal_detectable():
    # z(.975) + z(.8) = 1.959964 + .841621; z(.995) + z(.9) = 2.575829 + 1.281552
    assert minimal_detectable(1) == pytest.approx(2.801585, abs=1e-6)
    assert minimal_detectable(0.01, power=0.9, level=0.99) == pytest.approx(0.03857381, abs=1e-8)


def test_bad_input_is_refused():
    values = np.zeros((4, 2))
    with pytest.raises(InputError, match="align them"):
        paired_difference(values, np.zeros((5, 2)))
    with pytest.raises(InputError, match="no value to average"):
        paired_difference(values, np.full((4, 2), np.nan))
    with pytest.raises(InputError, match=r"expected \(groups, cells\)"):
        interval(np.zeros(4))
    with pytest.raises(InputError, match="level 95"):
        interval(values, level=95)
    with pytest.raises(InputError, match="resamples is 1"):
        interval(values, resamples=1)


def test_examples():
    assert doctest.testmod(bootstrap).failed == 0


def test_many_differences_at_once_are_those_one_by_one():
    rng = np.random.default_rng(14)
    a, b = rng.random((3, 60, 4)), rng.random((2, 60, 4)) + 0.1
    a[0, :7, 1], b[1, 50:, 2] = math.nan, math.nan
    other = {"x": rng.random((60, 2))}
    found = bootstrap.paired_differences(
        {("m", "map"): a, ("m", "x"): other["x"]},
        {("m", "map"): b, ("m", "x"): other["x"]},
        {("m", "map"): {"all": np.arange(4), "one": np.array([1])}, ("m", "x"): {"all": np.arange(2)}},
        resamples=6000,
    )
    for name, columns in (("all", slice(None)), ("one", slice(1, 2))):
        alone = paired_difference(a[:, :, columns], b[:, :, columns], resamples=6000)
        many = found["m", "map"][name]
        assert many.estimate == pytest.approx(alone.estimate)
        assert many.groups == alone.groups
        assert many.standard_error == pytest.approx(alone.standard_error, rel=0.07)
        assert many.low == pytest.approx(alone.low, abs=0.15 * alone.standard_error)
        assert abs(many.p - alone.p) < 0.05
    assert found["m", "x"]["all"] == Interval(0, 0, 0, 1, 60, 0)


def test_many_at_once_leave_out_what_has_no_value():
    values = np.full((5, 2), math.nan)
    values[:3, 0] = 1, 2, 3
    parts = {("m", "x"): {"all": np.arange(2), "none": np.array([1])}}
    found = bootstrap.intervals({("m", "x"): values}, parts, resamples=50)
    assert list(found["m", "x"]) == ["all"]
    assert found["m", "x"]["all"].groups == 3
    assert bootstrap.intervals({("m", "x"): values[:, 1:]}, {("m", "x"): {"all": np.arange(1)}}) == {("m", "x"): {}}
    with pytest.raises(InputError, match="level 7"):
        bootstrap.intervals({("m", "x"): values}, parts, level=7)
    with pytest.raises(InputError, match="groups; align"):
        bootstrap.intervals({("m", "x"): values, ("m", "y"): values[:2]}, parts)
