import doctest
import math
import os
import subprocess
import sys

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

import isoglot.measuring.measures
import isoglot.measuring.ranks
from isoglot.core.errors import InputError
from isoglot.measuring.measures import average_precision, ndcg_at, recall_at, reciprocal_rank
from isoglot.measuring.ranks import _repeated, gold_ranks, gold_ranks_from_scores, select, top_k


def naive(scores, langs, offsets, gold):
    """Ranks, within and pooled, and ties, by sorting: the definition, one gold at a time."""
    within, pooled, tied = [], [], set()
    for q in range(len(offsets) - 1):
        order = sorted(range(scores.shape[1]), key=lambda c: (-scores[q, c], c))
        for g in gold[offsets[q] : offsets[q + 1]]:
            pooled.append(order.index(g) + 1)
            within.append([c for c in order if langs[c] == langs[g]].index(g) + 1)
            tied |= {(q, frozenset((g, c))) for c in order if c != g and scores[q, c] == scores[q, g]}
    return within, pooled, len(tied)


@st.composite
def problems(draw, span=3):
    """Integer-valued vectors (so that scores are exact, with many ties), languages and golds."""
    seed, q, n, d = (draw(st.integers(0, high)) for high in (10**6, 6, 30, 3))
    rng, q, n, d = np.random.default_rng(seed), q + 1, n + 1, d + 1
    queries = rng.integers(-span, span + 1, (q, d)).astype(np.float32)
    pool = rng.integers(-span, span + 1, (n, d)).astype(np.float32)
    gold = [rng.choice(n, rng.integers(0, min(n, 20) + 1), replace=False) for _ in range(q)]
    offsets = np.cumsum([0, *map(len, gold)])
    return queries, pool, rng.integers(0, 4, n) * 7 - 5, offsets, np.concatenate(gold)


@given(problems())
def test_equals_sorting_with_ties(problem):
    queries, pool, langs, offsets, gold = problem
    expected = naive(queries @ pool.T, langs, offsets, gold.tolist())
    for ranks in (gold_ranks(*problem)[0], gold_ranks_from_scores(queries @ pool.T, *problem[2:])):
        assert (ranks.within.tolist(), ranks.pooled.tolist(), ranks.ties) == expected
        assert ranks.gold.tolist() == gold.tolist()
        assert ranks.offsets.dtype == ranks.gold.dtype == np.int64
        assert ranks.within.dtype == ranks.pooled.dtype == np.int32


@given(problems(), st.integers(1, 40))
def test_top_k_equals_sorting_with_ties(problem, k):
    queries, pool = problem[:2]
    expected = np.argsort(-(queries @ pool.T), axis=1, kind="stable")[:, :k]
    top = top_k(queries, pool, k)
    assert top.dtype == np.int32
    np.testing.assert_array_equal(top, expected)


def test_top_k_on_a_pool_of_many_parts_and_ties():
    rng = np.random.default_rng(3)
    queries, pool = (rng.integers(-4, 5, (n, 3)).astype(np.float32) for n in (70, 5000))
    expected = np.argsort(-(queries @ pool.T), axis=1, kind="stable")
    for k in (1, 10, 100, 4999):
        np.testing.assert_array_equal(top_k(queries, pool, k), expected[:, :k])


@given(problems(span=1000), st.integers(0, 1000))
def test_permuting_candidates_changes_nothing(problem, seed):
    queries, pool, langs, offsets, gold = problem
    order = np.random.default_rng(seed).permutation(len(pool))
    a, _ = gold_ranks(*problem)
    b, _ = gold_ranks(queries, pool[order], langs[order], offsets, np.argsort(order)[gold])
    assert a.ties == b.ties
    if a.ties == 0:
        np.testing.assert_array_equal(a.within, b.within)
        np.testing.assert_array_equal(a.pooled, b.pooled)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 300), st.integers(1, 5000), st.integers(1, 100), st.integers(0, 2**21))
def test_block_size_changes_nothing(q, n, d, block_bytes):
    """Real-valued vectors with duplicates, whose scores must tie exactly wherever they lie in the pool."""
    rng = np.random.default_rng(q * n + d)
    queries, pool = (rng.standard_normal((size, d), np.float32) for size in (q, n))
    pool[n // 2 :] = pool[: n - n // 2][::-1]
    args = queries, pool, rng.integers(0, 3, n), np.arange(q + 1), rng.integers(0, n, q)
    (a, _), (b, _) = gold_ranks(*args), gold_ranks(*args, block_bytes=block_bytes)
    np.testing.assert_array_equal(a.within, b.within)
    np.testing.assert_array_equal(a.pooled, b.pooled)
    assert a.ties == b.ties
    assert n % 2 or a.ties >= q
    np.testing.assert_array_equal(top_k(*args[:2], 7), top_k(*args[:2], 7, block_bytes=block_bytes))


def test_measures_agree_with_trec_eval():
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((40, 150))
    gold = [rng.choice(150, rng.integers(1, 13), replace=False) for _ in scores]
    offsets = np.cumsum([0, *map(len, gold)])
    ranks = gold_ranks_from_scores(scores, np.zeros(150, int), offsets, np.concatenate(gold)).pooled
    qrels = [ir_measures.Qrel(str(q), str(c), 1) for q, found in enumerate(gold) for c in found]
    run = [ir_measures.ScoredDoc(str(q), str(c), scores[q, c]) for q in range(40) for c in range(150)]
    wanted = {
        ir_measures.AP: average_precision(offsets, ranks),
        ir_measures.RR: reciprocal_rank(offsets, ranks),
        ir_measures.nDCG @ 10: ndcg_at(offsets, ranks, 10),
        ir_measures.R @ 20: recall_at(offsets, ranks, 20),
    }
    results = list(ir_measures.iter_calc(list(wanted), qrels, run))
    assert len(results) == 160
    for result in results:
        assert wanted[result.measure][int(result.query_id)] == pytest.approx(result.value, abs=1e-12)


def test_average_precision_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    scores, relevant = rng.standard_normal((30, 60)), rng.random((30, 60)) < 0.1
    relevant[:, 0] = True
    gold, offsets = np.nonzero(relevant)[1], np.append(0, relevant.sum(axis=1).cumsum())
    ap = average_precision(offsets, gold_ranks_from_scores(scores, np.zeros(60), offsets, gold).pooled)
    expected = [average_precision_score(r, s) for r, s in zip(relevant, scores, strict=True)]
    np.testing.assert_allclose(ap, expected)
    assert ap.mean() == pytest.approx(label_ranking_average_precision_score(relevant, scores))


def test_measures_by_hand():
    # query 0: golds at ranks 3 and 1; query 1: none; query 2: one gold at rank 4
    offsets, ranks = np.array([0, 2, 2, 3]), np.array([3, 1, 4])
    nan = math.nan
    # (1/1 + 2/3) / 2 = 5/6; 1/4
    np.testing.assert_allclose(average_precision(offsets, ranks), [5 / 6, nan, 1 / 4])
    np.testing.assert_allclose(reciprocal_rank(offsets, ranks), [1, nan, 1 / 4])
    np.testing.assert_allclose(recall_at(offsets, ranks, 1), [1 / 2, nan, 0])
    # k = 3: (1 + 1/log2 4) / (1 + 1/log2 3) = 1.5 / 1.6309298; k = 2: 1 / 1.6309298; k = 4: 1/log2 5
    np.testing.assert_allclose(ndcg_at(offsets, ranks, 3), [0.9197208, nan, 0], rtol=1e-6)
    np.testing.assert_allclose(ndcg_at(offsets, ranks, 2), [0.6131472, nan, 0], rtol=1e-6)
    np.testing.assert_allclose(ndcg_at(offsets, ranks, 4), [0.9197208, nan, 0.4306766], rtol=1e-6)


def test_ranks_and_ties_by_hand():
    # one query; scores 2 1 2 1 2, languages 0 0 1 1 1; golds 4 and 3
    # gold 4 (score 2): after 0 and 2 in the pool, after 2 in its language; tied with two
    # gold 3 (score 1): after 0 1 2 4 in the pool, after 2 4 in its language; tied with one
    scores, langs = np.array([[2, 1, 2, 1, 2]]), np.array([0, 0, 1, 1, 1])
    ranks = gold_ranks_from_scores(scores, langs, np.array([0, 2]), np.array([4, 3]))
    assert (ranks.pooled.tolist(), ranks.within.tolist(), ranks.ties) == ([3, 5], [2, 3], 3)
    # golds 0 and 4 tie with each other and with 2: the pairs 0-4, 0-2, 4-2
    assert gold_ranks_from_scores(scores, langs, np.array([0, 2]), np.array([0, 4])).ties == 3


def test_select_keeps_the_chosen_golds():
    scores = np.array([[5, 4, 3, 2], [2, 3, 4, 5]])
    ranks = gold_ranks_from_scores(scores, np.arange(4), np.array([0, 2, 4]), np.array([0, 3, 0, 1]))
    kept = select(ranks, ranks.gold != 0)
    assert kept.offsets.tolist() == [0, 1, 2]
    assert (kept.gold.tolist(), kept.pooled.tolist()) == ([3, 1], [4, 3])
    assert select(ranks, ranks.gold == 3).offsets.tolist() == [0, 1, 1]
    with pytest.raises(InputError, match="expected bool"):
        select(ranks, np.array([0, 1]))


def test_vectors_that_are_not_finite_are_named():
    good, bad = np.ones((5, 2), np.float32), np.ones((5, 2), np.float32)
    bad[3:, 1] = np.nan
    with pytest.raises(InputError, match=r"candidate vector 3 .*2 such"):
        gold_ranks(good, bad, np.zeros(5), np.arange(6), np.arange(5))
    with pytest.raises(InputError, match="query vector 3"):
        top_k(bad, good, 1)
    with pytest.raises(InputError, match="without NaN"):
        gold_ranks_from_scores(bad, np.zeros(2), np.arange(6), np.zeros(5, int))
    with pytest.raises(InputError, match="normalise"):  # finite, but the scores would not be
        top_k(np.float32([[3e38, -3e38]]), np.float32([[3e38, 3e38]]), 1)


@pytest.mark.parametrize(
    ("offsets", "gold", "langs", "message"),
    [
        ([0, 1], [0], [0, 0, 0], "in 2 steps"),
        ([0, 2, 1], [0], [0, 0, 0], "offsets must rise"),
        ([0, 1, 1], [3], [0, 0, 0], r"pool has 0\.\.2"),
        ([0, 1, 1], [-1], [0, 0, 0], r"pool has 0\.\.2"),
        ([0, 2, 2], [1, 1], [0, 0, 0], "given twice"),
        ([0, 1, 1], [0], [0, 0], "candidate_langs has shape"),
    ],
)
def test_bad_golds_are_refused(offsets, gold, langs, message):
    vectors = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match=message):
        gold_ranks(vectors[:2], vectors, np.array(langs), np.array(offsets), np.array(gold))


def test_bad_shapes_and_k_are_refused():
    vectors = np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match=r"expected \(Q, d\) and \(N, d\)"):
        top_k(vectors, vectors[:, :2], 1)
    with pytest.raises(InputError, match="best 0 of 3"):
        top_k(vectors, vectors, 0)
    with pytest.raises(InputError, match="expected \\(queries, candidates\\)"):
        gold_ranks_from_scores(np.zeros(3), np.zeros(3), np.array([0]), np.array([]))


def test_no_queries_and_no_golds():
    pool = np.eye(3, dtype=np.float32)
    empty, _ = gold_ranks(pool[:0], pool, np.zeros(3), np.array([0]), np.array([]))
    assert len(empty.pooled) == 0
    assert len(average_precision(empty.offsets, empty.pooled)) == 0
    assert top_k(pool[:0], pool, 2).shape == (0, 2)


def test_examples():
    for module in (isoglot.measuring.measures, isoglot.measuring.ranks):
        assert doctest.testmod(module).failed == 0


_TIES = """
import numpy as np
from isoglot.measuring.ranks import gold_ranks
for q, n, d in ((1, 10, 34), (40, 460, 59), (3, 2500, 70)):
    rng = np.random.default_rng(q * n + d)
    queries, pool = (rng.standard_normal((size, d), np.float32) for size in (q, n))
    pool[n // 2 :] = pool[: n - n // 2][::-1]
    found, _ = gold_ranks(queries, pool, np.zeros(n, int), np.arange(q + 1), rng.integers(0, n, q))
    print(found.ties - q)
"""


def test_equal_vectors_tie_whatever_the_kernel_rounds_by():
    # OpenBLAS's kernel for AVX2, which other processors can be told to take, rounds by a candidate's place.
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell"}
    done = subprocess.run([sys.executable, "-c", _TIES], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["0", "0", "0"]), done.stderr


def test_vectors_that_are_there_again():
    vectors = np.array([[1, 0], [2, 3], [1, -0.0], [0, 1], [2, 3], [1, 0]], np.float32)
    again, first = _repeated(vectors)
    assert sorted(zip(again.tolist(), first.tolist(), strict=True)) == [(2, 0), (4, 1), (5, 0)]
    assert [part.tolist() for part in _repeated(vectors[:2])] == [[], []]
    assert [part.tolist() for part in _repeated(vectors[:0])] == [[], []]
