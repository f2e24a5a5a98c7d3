import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.search.fusion import of_words, on_one_scale, with_quota


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
