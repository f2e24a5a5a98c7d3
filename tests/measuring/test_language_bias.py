import doctest
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kruskal, spearmanr

from isoglot.core.errors import InputError
from isoglot.measuring import language_bias
from isoglot.measuring.language_bias import (
    comp_at,
    lpr,
    max_at_r,
    mrc_at,
    normalised_max_at_r,
    normalised_rank_distance,
    one_target_deletion,
    peer_at,
    rank_distance,
    same_language_share,
    tlr_at,
    unbiased_lpr,
)
from isoglot.measuring.measures import average_precision
from isoglot.measuring.ranks import gold_ranks, gold_ranks_from_scores, top_k

NAN = float("nan")
# query 0: four golds; query 1: one; query 2: none; query 3: two
OFFSETS = np.array([0, 4, 5, 5, 7])
RANKS = np.array([2, 1, 16, 5, 3, 64, 1], np.int32)
LANGS = np.array([0, 1, 2, 3, 0, 1, 0])
QUERY_LANGS = np.array([0, 0, 1, 0])


def test_rank_measures_by_hand():
    # pool N = 64. query 0: 16 - 1 = 15, (15 - 3) / (64 - 4) = .2; query 3: 63, (63 - 1) / (64 - 2) = 1
    np.testing.assert_allclose(rank_distance(OFFSETS, RANKS), [15, NAN, NAN, 63])
    np.testing.assert_allclose(normalised_rank_distance(OFFSETS, RANKS, 64), [0.2, NAN, NAN, 1])
    np.testing.assert_allclose(max_at_r(OFFSETS, RANKS), [16, NAN, NAN, 64])
    # query 0: 100 (log2 64 - log2 16) / (log2 64 - log2 4) = 100 * 2 / 4; query 3: last of the pool
    np.testing.assert_allclose(normalised_max_at_r(OFFSETS, RANKS, 64), [50, NAN, NAN, 0])
    np.testing.assert_allclose(comp_at(OFFSETS, RANKS, 16), [1, NAN, NAN, 0])
    np.testing.assert_allclose(comp_at(OFFSETS, RANKS, 15), [0, NAN, NAN, 0])


def test_measures_that_need_more_than_golds_are_undefined_in_a_pool_of_golds():
    offsets, ranks = np.array([0, 2]), np.array([1, 2])
    assert np.isnan(normalised_rank_distance(offsets, ranks, 2)).all()
    assert np.isnan(normalised_max_at_r(offsets, ranks, 2)).all()


def test_language_preference_by_hand():
    # query 0: best gold (rank 1) is in language 1, not 0; one of four golds is its own
    # query 3: best gold is in language 0, its own; one of two. The same query in language 5: none of its own
    np.testing.assert_allclose(lpr(OFFSETS, RANKS, LANGS, QUERY_LANGS), [0, NAN, NAN, 1])
    np.testing.assert_allclose(unbiased_lpr(OFFSETS, LANGS, QUERY_LANGS), [0.25, NAN, NAN, 0.5])
    foreign = np.array([0, 0, 1, 5])
    np.testing.assert_allclose(lpr(OFFSETS, RANKS, LANGS, foreign), [0, NAN, NAN, NAN])
    np.testing.assert_allclose(unbiased_lpr(OFFSETS, LANGS, foreign), [0.25, NAN, NAN, NAN])
    # others of query 0 at 1, 16, 5; of query 3 at 64; query 1 has none, but has in language 5
    np.testing.assert_allclose(tlr_at(OFFSETS, RANKS, LANGS, QUERY_LANGS, 5), [2 / 3, NAN, NAN, 0])
    np.testing.assert_allclose(tlr_at(OFFSETS, RANKS, LANGS, np.array([0, 5, 1, 0]), 5), [2 / 3, 1, NAN, 0])


def test_lpr_of_random_rankings_is_near_its_unbiased_value():
    rng = np.random.default_rng(0)
    scores, offsets = rng.random((4000, 40)), np.arange(4001) * 5
    langs, own = np.arange(40) // 8, rng.integers(0, 5, 4000)
    ranks = gold_ranks_from_scores(scores, langs, offsets, np.tile(np.arange(5) * 8, 4000))
    found = lpr(offsets, ranks.pooled, langs[ranks.gold], own).mean()
    expected = unbiased_lpr(offsets, langs[ranks.gold], own).mean()
    assert expected == pytest.approx(1 / 5)
    assert abs(found - expected) < 4 * np.sqrt(0.16 / 4000)


def test_same_language_share_by_hand():
    # pool of languages 0 0 0 1; top two: positions 0 3 and 3 1
    share = same_language_share(np.array([[0, 3], [3, 1]]), np.array([0, 0, 0, 1]), np.array([0, 1]))
    np.testing.assert_allclose(share, [0.5, 0.5])
    assert same_language_share(np.array([[0]]), np.array([0]), np.array([9])) == 0


@given(st.integers(2, 6), st.integers(1, 8), st.integers(0, 100))
def test_oracle_has_the_smallest_rank_distance(languages, groups, seed):
    """Vectors that carry only meaning: the n translations take the first n ranks."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(languages * groups)
    group, lang = order % groups, order // groups
    vectors = np.eye(groups, dtype=np.float32)
    gold = np.concatenate([np.flatnonzero(group == g) for g in range(groups)])
    offsets = np.arange(groups + 1) * languages
    ranks = gold_ranks(vectors, vectors[group], lang, offsets, gold)[0].pooled
    np.testing.assert_array_equal(rank_distance(offsets, ranks), languages - 1)
    np.testing.assert_array_equal(comp_at(offsets, ranks, languages), 1)
    if groups > 1:
        np.testing.assert_array_equal(normalised_rank_distance(offsets, ranks, languages * groups), 0)
        np.testing.assert_allclose(normalised_max_at_r(offsets, ranks, languages * groups), 100)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 100))
def test_language_identity_alone_gives_same_language_share_one(languages, each, k, seed):
    lang = np.random.default_rng(seed).permutation(np.repeat(np.arange(languages), each))
    vectors = np.eye(languages, dtype=np.float32)
    k = min(k, each)  # a language has no more than that to offer
    share = same_language_share(top_k(vectors, vectors[lang], k), lang, np.arange(languages))
    np.testing.assert_array_equal(share, 1)


def test_one_target_deletion_by_hand():
    # golds of languages 2 0 1 at ranks 4 1 3: AP (1/1 + 2/3 + 3/4) / 3 = 29/36
    # without 0: ranks 2 3, (1/2 + 2/3) / 2 = 21/36; without 1 or 2: ranks 1 3, (1 + 2/3) / 2 = 30/36
    # second query: one gold, nothing left without it
    drops = one_target_deletion(np.array([0, 3, 4]), np.array([4, 1, 3, 2]), np.array([2, 0, 1, 3]), 4)
    np.testing.assert_allclose(drops, [[8 / 36, -1 / 36, -1 / 36, NAN], [NAN] * 4])


@given(st.integers(0, 10**6), st.integers(1, 4))
def test_one_target_deletion_equals_ranking_the_smaller_pool(seed, languages):
    rng = np.random.default_rng(seed)
    scores, langs = rng.permutation(5 * 30).reshape(5, 30), rng.integers(0, languages, 30)
    gold = [rng.choice(30, rng.integers(0, 9), replace=False) for _ in scores]
    offsets = np.cumsum([0, *map(len, gold)])
    ranks = gold_ranks_from_scores(scores, langs, offsets, np.concatenate(gold)).pooled
    before = average_precision(offsets, ranks)
    drops = one_target_deletion(offsets, ranks, langs[np.concatenate(gold)], languages)
    for q, found in enumerate(gold):
        for lang in range(languages):
            rest = found[langs[found] != lang]
            if len(rest) in (0, len(found)):
                assert np.isnan(drops[q, lang])
                continue
            pool = np.setdiff1d(np.arange(30), found[langs[found] == lang])
            ends = np.array([0, len(rest)])
            after = gold_ranks_from_scores(scores[q : q + 1, pool], langs[pool], ends, pool.searchsorted(rest))
            ap = average_precision(ends, after.pooled)[0]
            assert drops[q, lang] == pytest.approx(before[q] - ap)


def naive_mrc(queries, pool, groups, k):
    scores = queries @ pool.T
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = []
    for q, group in enumerate(groups):
        rho = []
        for other in np.flatnonzero(groups == group):
            union = sorted({*top[q], *top[other]})
            if other != q and len({*scores[q, union]}) > 1 and len({*scores[other, union]}) > 1:
                rho.append(spearmanr(scores[q, union], scores[other, union]).statistic)
        values.append(np.mean(rho) if rho else NAN)
    return values


@pytest.mark.parametrize("entries", [1, 2**18])  # one group at a time, or all
@pytest.mark.parametrize("span", [3, 300])
def test_mrc_equals_a_loop_over_spearman(span, entries, monkeypatch):
    """Integer-valued, so that scores are exact; the narrow span has many ties."""
    monkeypatch.setattr("isoglot.measuring.language_bias._ENTRIES", entries)
    rng = np.random.default_rng(span)
    queries, pool = (rng.integers(-span, span + 1, (n, 4)).astype(np.float32) for n in (30, 80))
    queries[:2] = 0
    groups = rng.permutation(np.arange(30) % 9)
    groups[:3] = 50, 50, 51
    for k in (1, 4, 200):
        expected = naive_mrc(queries, pool, groups, k)
        assert np.isnan(expected).any()
        np.testing.assert_allclose(mrc_at(queries, pool, groups, k), expected, atol=1e-12)


def test_mrc_of_queries_alike_is_one():
    rng = np.random.default_rng(2)
    queries, pool = np.repeat(rng.standard_normal((6, 8)), 2, axis=0), rng.standard_normal((50, 8))
    np.testing.assert_allclose(mrc_at(queries, pool, np.arange(12) // 2, 10), 1)
    assert np.isnan(mrc_at(queries, pool, np.arange(12), 10)).all()
    with pytest.raises(InputError, match="groups has shape"):
        mrc_at(queries, pool, np.arange(3), 10)


def test_mrc_sees_duplicates_as_ties():
    """Real-valued scores: the two copies of a candidate share a rank for every query."""
    rng = np.random.default_rng(3)
    queries, pool = rng.standard_normal((12, 384), np.float32), rng.standard_normal((60, 384), np.float32)
    groups, single = np.arange(12) // 3, pool @ queries.T
    expected = []
    for q in range(12):
        others = [o for o in range(12) if o != q and groups[o] == groups[q]]
        both = [spearmanr(np.tile(single[:, q], 2), np.tile(single[:, o], 2)).statistic for o in others]
        expected.append(np.mean(both))
    found = mrc_at(queries, np.concatenate((pool, pool)), groups, 120)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_peer_equals_kruskal():
    rng = np.random.default_rng(4)
    k, sizes = 30, rng.integers(0, 12, 60)
    offsets = np.append(0, sizes.cumsum())
    ranks = np.concatenate([rng.choice(60, n, replace=False) + 1 for n in sizes])
    langs = rng.integers(0, 4, len(ranks))
    values, tested = peer_at(offsets, ranks, langs, k), 0
    for q, (a, b) in enumerate(pairwise(offsets)):
        found = np.where(ranks[a:b] <= k, ranks[a:b], k + (60 - k + 1) / 2)  # the mean of the ranks left
        samples = [found[langs[a:b] == lang] for lang in set(langs[a:b])]
        if len(samples) < 2 or len(samples) == b - a:
            assert np.isnan(values[q])
        elif (found > k).all():
            assert values[q] == 1
        else:
            tested += 1
            assert values[q] == pytest.approx(kruskal(*samples).pvalue)
    assert tested > 30


def test_peer_is_refused_where_it_is_constant():
    with pytest.raises(InputError, match="no query has two relevant candidates"):
        peer_at(np.array([0, 11]), np.arange(1, 12), np.arange(11), 20)
    # golds of two languages apart: 1 2 against 3 4: H = 12/(4 5) (3^2/2 + 7^2/2) - 3 5 = 2.4; sf of chi2(1)
    values = peer_at(np.array([0, 4, 6]), np.array([1, 2, 3, 4, 9, 8]), np.array([0, 0, 1, 1, 0, 1]), 20)
    np.testing.assert_allclose(values, [0.121335, NAN], atol=1e-6)
    # all beyond the cut-off
    assert peer_at(np.array([0, 3]), np.array([7, 8, 9]), np.array([0, 0, 1]), 5) == 1


def test_examples():
    assert doctest.testmod(language_bias).failed == 0
