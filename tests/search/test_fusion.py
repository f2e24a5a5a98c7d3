import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isoglot.search.candidates import Candidate, fuse, matching
from isoglot.search.fusion import of_words, on_one_scale, with_quota
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage


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


def passages_found(part, found):
    """Candidates (number, score) as a search by vector (`dense`) or by words (`lexical`) returns them."""
    return [Candidate(Passage(f"p{n}", f"p{n}", "", "en"), {part: score}, score) for n, score in found]


@pytest.mark.parametrize(
    ("near", "matched"), [(0, 60), (60, 0), (1, 1), (7, 120), (120, 7), (50, 49), (90, 50), (130, 130)]
)
def test_fused_scores_are_places_among_the_nearest_and_shares_of_words(near, matched):
    rng = random.Random(near)
    words = {"a", "b", "c"}
    terms = {n: {word for word in "abcxyz" if rng.random() < 0.5} for n in range(160)}
    cosines = dict(
        zip(rng.sample(range(160), near), sorted((rng.random() for _ in range(near)), reverse=True), strict=True)
    )
    bm25 = {n: 20 * rng.random() for n in rng.sample(range(160), matched)}
    by_words = list(bm25.items())
    fused = fuse(
        passages_found("dense", cosines.items()),
        passages_found("lexical", by_words),
        words,
        lambda one: terms[int(one.passage.id[1:])],
    )
    if not near or not matched:
        assert [one.passage.id for one in fused] == [f"p{n}" for n in [*cosines, *sorted(bm25, key=bm25.get)[::-1]]]
        return
    nearest, strongest = list(cosines)[:50], sorted(bm25, key=lambda n: -bm25[n])[:50]
    top, span = cosines[nearest[0]], max(cosines[nearest[0]] - cosines[nearest[-1]], 1e-6)
    expected = {}
    for n in {*cosines, *bm25}:
        place = 1 - (top - cosines[n]) / span if n in cosines else 0
        lexical = bm25.get(n, 0) if n in strongest else bm25[strongest[-1]] if n in nearest and matched >= 50 else 0
        gained = 1.25 * lexical / bm25[strongest[0]] * (len(words & terms[n]) / 3) ** 2
        # Further down than the 50th, a place and a match count a thousandth.
        place = place if n in nearest or n not in cosines else place / 1000
        expected[f"p{n}"] = max(place, 0) + gained if gained else place
        if n in bm25 and n not in strongest and not (n in nearest and matched >= 50):
            expected[f"p{n}"] += bm25[n] / bm25[strongest[0]] / 1000
    assert {one.passage.id: one.score for one in fused} == pytest.approx(expected, abs=1e-9)
    assert all(above.score >= below.score for above, below in pairwise(fused))
    for one in fused:
        n = int(one.passage.id[1:])
        assert one.parts.keys() == {"hybrid"} | ({"dense"} if n in cosines else set()) | (
            {"lexical"} if n in bm25 else set()
        )


def test_matches_in_languages_by_themselves_take_turns():
    texts = {"de": ["mond mond", "mond", "mond am himmel", "stein"], "en": ["mond of the sea and of the sky", "moon"]}
    held = [Passage(text, text, text, lang) for lang, own in texts.items() for text in own]
    index = MemoryIndex(held, np.tile(np.float32([[1, 0]]), (len(held), 1)))
    together, apart = matching(index, "mond", 9, None), matching(index, "mond", 9, None, apart=["en", "de"])
    assert [one.passage.id for one in together] == ["mond mond", "mond", "mond am himmel", texts["en"][0]]
    assert [one.passage.id for one in apart] == ["mond mond", texts["en"][0], "mond", "mond am himmel"]
