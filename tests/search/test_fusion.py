import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.search.fusion import of_words, on_one_scale, standardise, with_quota


def test_places_on_one_scale_do_not_depend_on_the_spread_nor_on_how_deep_a_list_is():
    cosines = np.linspace(0.9, 0.8, 200)
    placed = on_one_scale(cosines)
    assert placed[0] == 1
    assert placed[49] == pytest.approx(0)
    assert placed[199] < 0
    np.testing.assert_allclose(on_one_scale(cosines[:60]), placed[:60])
    np.testing.assert_allclose(on_one_scale(3 * cosines - 2), placed)
    assert on_one_scale(np.array([0.5])).tolist() == [1]
    assert on_one_scale(np.array([0.5, 0.5])).tolist() == [1, 1]


def test_words_count_by_the_share_that_is_there():
    gained = of_words(np.array([10.0, 10.0, 5.0, 0.0]), np.array([1.0, 0.5, 1.0, 0.0]))
    assert gained.tolist() == [1.25, 1.25 / 4, 1.25 / 2, 0]
    assert of_words(np.zeros(2), np.ones(2)).tolist() == [0, 0]


def test_standardised_by_hand():
    # de: mean 2, variance 1; en: mean 6, variance 4; together: mean 4, variance 6.5. Weight of two passages:
    # 2 / (2 + 8) = .2. One passage beyond the first in each: (1 * 1 + 1 * 4 + 8 * 6.5) / (2 + 8) = 5.7.
    de, en = np.array([[1.0, 3.0]]), np.array([[4.0, 8.0]])
    mean, spread = standardise(de, [de, en])
    assert mean.item() == pytest.approx(0.2 * 2 + 0.8 * 4)
    assert spread.item() == pytest.approx(np.sqrt(0.2 * 1 + 0.8 * 5.7))


def test_languages_with_one_passage_each_are_told_apart_by_the_spread_of_all():
    # Variances of 0 each; scores of .2, .3 and .7 together: mean .4, variance .14 / 3. The prior decides 8 parts of 9.
    samples = [np.array([[value]]) for value in (0.2, 0.3, 0.7)]
    standard = []
    for own in samples:
        mean, spread = standardise(own, samples)
        assert spread.item() == pytest.approx(np.sqrt(8 / 9 * 0.14 / 3))
        assert mean.item() == pytest.approx((own.item() + 8 * 0.4) / 9)
        standard.append(((own - mean) / spread).item())
    assert standard == sorted(standard)
    assert max(map(abs, standard)) < 2


def test_a_large_sample_speaks_for_itself():
    rng = np.random.default_rng(0)
    high, low = 0.8 + 0.01 * rng.normal(size=(1, 5000)), 0.2 + 0.05 * rng.normal(size=(1, 5000))
    mean, spread = standardise(high, [high, low])
    assert mean.item() == pytest.approx(0.8, abs=0.002)
    assert spread.item() == pytest.approx(0.01, rel=0.15)


@given(
    langs=st.lists(st.sampled_from(["de", "en", "th", "zh"]), max_size=40),
    k=st.integers(1, 30),
    quota=st.floats(0, 1),
)
def test_quota_gives_every_language_its_places(langs, k, quota):
    kept = with_quota(langs, k, quota)
    assert kept == sorted(set(kept))
    assert len(kept) == min(k, len(langs))
    entitled = int(quota * k / max(1, len(set(langs))))
    for lang in set(langs):
        assert sum(langs[position] == lang for position in kept) >= min(entitled, langs.count(lang))
        own = [position for position in range(len(langs)) if langs[position] == lang]
        taken = [position for position in kept if langs[position] == lang]
        assert taken == own[: len(taken)]


def test_without_quota_the_first_k_stay():
    assert with_quota(["en"] * 5 + ["de"], 3, 0.0) == [0, 1, 2]
