import doctest
import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.training.sampling import walks
from isoglot.training.sampling.regimes import Sampling
from isoglot.training.sampling.sampler import HybridBatchSampler
from isoglot.training.sampling.walks import keyed_permutation
from support.rows import table_of

LANGS = ("de", "en", "th", "zh")
REGIMES = [
    Sampling("en-en"),
    Sampling("x-x"),
    Sampling("x-x-mono"),
    Sampling("x-y"),
    Sampling("x-y", xy_draw="independent"),
    Sampling("x-y", xy="per-example"),
    Sampling("x-y", xy="per-example", xy_draw="independent"),
    Sampling("hybrid"),
    Sampling("hybrid", alpha=0.7, xy="per-example", language_exponent=0.5, dataset_exponent=0.3),
]


def complete(groups, langs=LANGS, dataset="d"):
    """(dataset, group, lang, text) of `groups` groups in every language, no text shared."""
    return [(dataset, f"{dataset}{g}", lang, f"{dataset}{g}") for g in range(groups) for lang in langs]


@st.composite
def tables(draw):
    """Two data sets, gaps in the languages, some passages shared between groups, some queries with two passages."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    several = draw(st.booleans())
    rows = []
    for dataset, groups in (("one", draw(st.integers(2, 25))), ("two", draw(st.integers(0, 15)))):
        for group in range(groups):
            for lang in LANGS:
                if rng.random() < 0.8:
                    text = rng.integers(3) if rng.random() < 0.1 else f"{dataset}{group}"
                    rows.append((dataset, f"g{group}", lang, f"{text}"))
                    if several and rng.random() < 0.3:
                        rows.append((dataset, f"g{group}", lang, f"{text} again"))
    assume(rows)
    return table_of(rows)


def build(table, sampling, batch, **more):
    """The sampler, or None where the table cannot serve it."""
    try:
        return HybridBatchSampler(table, sampling, batch, **more)
    except InputError:
        return None


@given(tables(), st.sampled_from(REGIMES), st.integers(2, 6), st.integers(1, 2), st.integers(0, 5))
def test_every_batch_keeps_what_its_regime_promises(table, sampling, pairs, processes, seed):
    sampler = build(table, sampling, pairs, steps=7, seed=seed, processes=processes)
    assume(sampler is not None)
    lang, group, component, dataset = (np.asarray(getattr(table, n)) for n in ("lang", "group", "component", "dataset"))
    batches = list(sampler.batches())
    assert len(batches) == 7
    for batch in batches:
        queries, passages = batch.queries, batch.passages
        assert len(queries) == len(passages) == pairs * processes
        assert (group[queries] == group[passages]).all()
        # No two pairs of a global batch share a group, nor a passage through whatever chain of groups.
        assert len(set(group[queries].tolist())) == len(queries)
        assert len(set(component[queries].tolist())) == len(queries)
        assert {table.datasets[d] for d in dataset[queries]} == {batch.dataset}
        x = {table.languages[number] for number in lang[queries]}
        y = {table.languages[number] for number in lang[passages]}
        assert batch.kind in {"hybrid": ("mono", "cross"), "x-y": ("cross",), "x-x": ("mixed",)}.get(
            sampling.regime, ("mono",)
        )
        if batch.kind in ("mono", "mixed"):
            assert (queries == passages).all()
        if batch.kind == "mono":
            assert x == y == {batch.query_lang} == {batch.passage_lang}
        if sampling.regime == "en-en":
            assert batch.query_lang == "en"
        if batch.kind == "cross":
            if sampling.xy == "per-batch":
                assert (x, y) == ({batch.query_lang}, {batch.passage_lang})
            else:
                assert batch.query_lang is batch.passage_lang is None
            if sampling.xy_draw == "distinct":
                assert (lang[queries] != lang[passages]).all()


@given(tables(), st.sampled_from(REGIMES), st.integers(2, 5), st.integers(0, 5))
def test_draws_are_reproducible_and_do_not_depend_on_what_follows(table, sampling, pairs, seed):
    sampler = build(table, sampling, pairs, steps=9, seed=seed)
    assume(sampler is not None)
    whole = list(sampler)
    assert whole == list(sampler)
    assert len(whole) == len(sampler) == 9
    assert {len(batch) for batch in whole} == {2 * pairs} == {sampler.batch_size}
    shorter = HybridBatchSampler(table, sampling, pairs, steps=4, seed=seed)
    assert list(shorter) == whole[:4]
    # A list, as accelerate wants it: plain integers.
    assert all(type(row) is int for row in whole[0])


@given(tables(), st.sampled_from(REGIMES), st.integers(2, 3), st.integers(2, 3))
def test_processes_deal_what_one_process_would_draw(table, sampling, pairs, processes):
    many = build(table, sampling, pairs, steps=5, processes=processes)
    one = build(table, sampling, pairs * processes, steps=5)
    assert (many is None) == (one is None)
    assume(many is not None)
    dealt = list(many)
    assert len(dealt) == len(many) == 5 * processes
    for step, whole in enumerate(one):
        parts = dealt[step * processes : (step + 1) * processes]
        queries = [row for part in parts for row in part[:pairs]]
        passages = [row for part in parts for row in part[pairs:]]
        assert queries + passages == whole


@given(
    st.integers(2, 30),
    st.integers(2, 9),
    st.sampled_from([Sampling("x-x-mono"), Sampling("x-y"), Sampling("x-y", xy="per-example"), Sampling("x-x")]),
)
def test_no_group_comes_twice_before_all_have_come(groups, pairs, sampling):
    assume(groups >= pairs)
    table = table_of(complete(groups, ("de", "en")))
    seen = {}
    for batch in HybridBatchSampler(table, sampling, pairs, steps=40).batches():
        counts = seen.setdefault((batch.query_lang, batch.passage_lang), Counter())
        counts.update(np.asarray(table.group)[batch.queries].tolist())
        times = [counts[group] for group in range(groups)]
        assert max(times) - min(times) <= 1


@pytest.mark.parametrize("sampling", REGIMES, ids=str)
def test_one_of_several_passages_is_drawn_a_visit(sampling):
    rows = complete(8)
    # Group d0 has four passages in German, three of them further ones.
    rows += [("d", "d0", "de", f"further {number}") for number in range(3)]
    sampler = HybridBatchSampler(table_of(rows), sampling, 4, steps=2000)
    table = sampler.table
    german, zero = table.languages.index("de"), int(table.group[0])
    visits, of_group = Counter(), Counter()
    for batch in sampler.batches():
        groups = table.group[batch.passages].tolist()
        assert len(set(groups)) == 4
        for row in batch.passages[table.lang[batch.passages] == german].tolist():
            of_group[int(table.group[row])] += 1
            visits[row] += table.group[row] == zero
    if sampling.regime == "en-en":
        assert not of_group
        return
    # It comes no more often than the other groups do, and each of its passages as often as the others.
    others = [count for group, count in of_group.items() if group != zero]
    assert of_group[zero] == pytest.approx(np.mean(others), rel=0.15)
    own = [visits[row] for row in (0, 32, 33, 34)]
    assert sum(own) == of_group[zero]
    assert min(own) > 0.6 * np.mean(own)


def test_one_epoch_sees_about_every_row_once():
    table = table_of(complete(30))
    assert len(HybridBatchSampler(table, Sampling("x-x-mono"), 10)) == 12
    assert len(HybridBatchSampler(table, Sampling("x-x-mono"), 10, processes=3)) == 12
    assert HybridBatchSampler(table, Sampling("x-x-mono"), 10, processes=3).steps == 4
    assert len(HybridBatchSampler(table_of(complete(2)), Sampling("x-x-mono"), 2)) == 4


def test_seeds_and_epochs_draw_differently():
    table = table_of(complete(50))
    sampler = HybridBatchSampler(table, Sampling(), 8, steps=6)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    assert list(HybridBatchSampler(table, Sampling(), 8, steps=6, seed=1)) != first


def close(count, total, probability):
    """Within 4.5 standard deviations of a binomial: once in 150,000 tests by chance, and the seed is fixed."""
    return abs(count - total * probability) <= 4.5 * math.sqrt(total * probability * (1 - probability)) + 1e-9


@pytest.mark.parametrize(("steps", "expected"), [(5, [1.0, 0.8, 0.6, 0.4, 0.2]), (1, [1.0])])
def test_a_schedule_reaches_its_end_with_the_last_step(steps, expected):
    sampling = Sampling(alpha=1.0, alpha_schedule="linear", alpha_end=0.2)
    sampler = HybridBatchSampler(table_of(complete(6)), sampling, 2, steps=steps)
    assert [sampler.alpha(step) for step in range(steps)] == pytest.approx(expected)


def test_every_pass_has_an_order_of_its_own():
    sampler = HybridBatchSampler(table_of(complete(20, ("de",))), Sampling("x-x-mono"), 10, steps=8)
    rows = np.concatenate([batch.queries for batch in sampler.batches()]).reshape(4, 20)
    assert (np.sort(rows) == np.sort(rows[0])).all()
    assert len({tuple(order) for order in rows.tolist()}) == 4


@pytest.mark.parametrize("xy", ["per-batch", "per-example"])
@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 1.0])
def test_the_coin(alpha, xy):
    table = table_of(complete(6))
    kinds = Counter(b.kind for b in HybridBatchSampler(table, Sampling(alpha=alpha, xy=xy), 2, steps=1500).batches())
    assert close(kinds["mono"], 1500, alpha)


def test_languages_and_ordered_pairs_are_uniform_by_default():
    sizes = {"de": 40, "en": 20, "th": 10, "zh": 5}
    rows = [row for lang, size in sizes.items() for row in complete(size, (lang,))]
    table = table_of(rows)
    mono = Counter(b.query_lang for b in HybridBatchSampler(table, Sampling("x-x-mono"), 2, steps=2000).batches())
    assert all(close(mono[lang], 2000, 1 / 4) for lang in LANGS)
    cross = HybridBatchSampler(table, Sampling("x-y"), 2, steps=2400).batches()
    pairs = Counter((b.query_lang, b.passage_lang) for b in cross)
    assert all(close(pairs[pair], 2400, 1 / 12) for pair in itertools.permutations(LANGS, 2))
    free = HybridBatchSampler(table, Sampling("x-y", xy_draw="independent"), 2, steps=3200).batches()
    pairs = Counter((b.query_lang, b.passage_lang) for b in free)
    assert all(close(pairs[pair], 3200, 1 / 16) for pair in itertools.product(LANGS, repeat=2))


def test_independent_draws_of_an_example_may_fall_on_one_language():
    table = table_of(complete(8))
    sampling = Sampling("x-y", xy="per-example", xy_draw="independent")
    drawn = list(HybridBatchSampler(table, sampling, 8, steps=400).batches())
    asked, answered = (
        np.asarray(table.lang)[np.concatenate(rows)] for rows in zip(*(b[-2:] for b in drawn), strict=True)
    )
    pairs = Counter(zip(asked.tolist(), answered.tolist(), strict=True))
    assert all(close(pairs[pair], 3200, 1 / 16) for pair in itertools.product(range(4), repeat=2))


@pytest.mark.parametrize("tau", [1.0, 0.5, -1.0])
def test_languages_by_a_power_of_their_size(tau):
    sizes = {"de": 40, "en": 20, "th": 10, "zh": 5}
    table = table_of([row for lang, size in sizes.items() for row in complete(size, (lang,))])
    sampler = HybridBatchSampler(table, Sampling("x-x-mono", language_exponent=tau), 2, steps=2000)
    counts, total = Counter(b.query_lang for b in sampler.batches()), sum(size**tau for size in sizes.values())
    assert all(close(counts[lang], 2000, size**tau / total) for lang, size in sizes.items())
    # An ordered pair is as large as its groups with both languages: the smaller of the two here.
    sampler = HybridBatchSampler(table, Sampling("x-y", language_exponent=tau), 2, steps=2000)
    pairs = Counter((b.query_lang, b.passage_lang) for b in sampler.batches())
    weight = {(x, y): min(sizes[x], sizes[y]) ** tau for x, y in itertools.permutations(LANGS, 2)}
    assert all(close(pairs[pair], 2000, w / sum(weight.values())) for pair, w in weight.items())


@pytest.mark.parametrize("tau", [1.0, 0.0, 0.5])
def test_data_sets_by_a_power_of_their_rows(tau):
    # 24 and 6 groups of 2 and 4 languages: 48 and 24 rows.
    table = table_of(complete(24, ("de", "en"), "a") + complete(6, LANGS, "b"))
    for regime in ("x-x-mono", "x-y", "x-x"):
        sampler = HybridBatchSampler(table, Sampling(regime, dataset_exponent=tau), 2, steps=1500)
        counts = Counter(b.dataset for b in sampler.batches())
        assert close(counts["a"], 1500, 48**tau / (48**tau + 24**tau))


@pytest.mark.parametrize("name", ["dataset_exponent", "language_exponent"])
@pytest.mark.parametrize("exponent", [900.0, -900.0])
def test_a_power_that_is_no_number_is_refused(name, exponent):
    table = table_of(complete(20, ("de", "en"), "a"))
    with pytest.raises(InputError, match=f"{name} {exponent:g}: too far from 0 for sizes up to"):
        HybridBatchSampler(table, Sampling(**{name: exponent}), 4)


def test_a_data_set_that_cannot_fill_a_batch_is_left_out():
    table = table_of(complete(10, ("de",), "a") + complete(10, ("de", "en"), "b") + complete(3, LANGS, "c"))
    assert {b.dataset for b in HybridBatchSampler(table, Sampling("x-y"), 4, steps=50).batches()} == {"b"}
    kinds = Counter((b.kind, b.dataset) for b in HybridBatchSampler(table, Sampling(), 4, steps=200).batches())
    assert set(kinds) == {("mono", "a"), ("mono", "b"), ("cross", "b")}


@pytest.mark.parametrize("sampling", REGIMES)
def test_the_languages_that_batches_can_hold(sampling):
    """th has too few groups for a batch of its own, and so has fr; the groups of el and fr have nothing else."""
    french = [("d", f"fr{n}", "fr", f"fr{n}") for n in range(5)]
    table = table_of(complete(20, ("de", "en")) + complete(5, ("de", "th"), "b") + complete(20, ("el",), "e") + french)
    sampler = HybridBatchSampler(table, sampling, 8, steps=300)
    drawn = {int(table.lang[row]) for batch in sampler for row in batch}
    assert sampler.languages == tuple(table.languages[number] for number in sorted(drawn))


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_pairs_of_an_example_are_drawn_without_replacement(tau):
    """P(x, y) = w_x / W * w_y / (W - w_x), on groups that have all languages."""
    full, extra = complete(8, LANGS[:3]), complete(56, ("de",), "e")
    rows = full + [("d", group, lang, text) for _, group, lang, text in extra]
    table = table_of(rows)
    weights = {"de": 64**tau, "en": 8**tau, "th": 8**tau}
    total = sum(weights.values())
    sampling = Sampling("x-y", xy="per-example", language_exponent=tau)
    pairs = Counter()
    for batch in HybridBatchSampler(table, sampling, 4, steps=1000).batches():
        for query, passage in zip(batch.queries, batch.passages, strict=True):
            pairs[table.languages[table.lang[query]], table.languages[table.lang[passage]]] += 1
    assert sum(pairs.values()) == 4000
    for x, y in itertools.permutations(weights, 2):
        assert close(pairs[x, y], 4000, weights[x] / total * weights[y] / (total - weights[x])), (x, y)
    small, same = table_of(full), Counter()
    for batch in HybridBatchSampler(small, Sampling("x-x"), 4, steps=750).batches():
        same.update(small.languages[number] for number in small.lang[batch.queries])
    assert all(close(same[lang], 3000, 1 / 3) for lang in weights)


@pytest.mark.parametrize("sampling", REGIMES, ids=str)
@given(table=tables())
def test_the_largest_batch_that_an_error_names_works(sampling, table):
    try:
        HybridBatchSampler(table, sampling, 1000)
    except InputError as error:
        message = str(error)
    assert "1000" in message or "the rows hold no" in message or "pivot en" in message
    found = re.search(r"`batch_size` (\d+) or less", message)
    assert (found is None) == (build(table, sampling, 2) is None)
    if found is None:
        return
    largest = int(found[1])
    assert build(table, sampling, largest + 1) is None
    assert len(next(HybridBatchSampler(table, sampling, largest, steps=1).batches()).queries) == largest
    assert build(table, sampling, largest, processes=2) is None


@pytest.mark.parametrize(
    ("sampling", "batch", "more", "words"),
    [
        (Sampling(), 1, {}, "batch_size 1"),
        (Sampling(), 2, {"steps": 0}, "steps 0"),
        (Sampling(), 2, {"processes": 0}, "processes 0"),
        (Sampling(), 2, {"seed": -1}, "seed -1"),
        (Sampling("en-en", pivot="fr"), 2, {}, "pivot fr: not in the rows; there are: de, en, th, zh"),
        (Sampling("x-x-mono"), 7, {}, "batch of 7 pairs is too large for monolingual batches: at most 6"),
        (Sampling("x-y"), 4, {"processes": 2}, "batch of 8 pairs is too large for cross-lingual batches"),
    ],
)
def test_what_cannot_be_sampled(sampling, batch, more, words):
    with pytest.raises(InputError, match=re.escape(words)):
        HybridBatchSampler(table_of(complete(6)), sampling, batch, **more)


def test_rows_of_one_language_have_no_cross_lingual_batches():
    table = table_of(complete(6, ("de",)))
    for xy in ("per-batch", "per-example"):
        with pytest.raises(InputError, match="the rows hold no cross-lingual batches"):
            HybridBatchSampler(table, Sampling("x-y", xy=xy), 2)
    assert build(table, Sampling("hybrid", alpha=1.0), 2) is not None


def test_a_passage_of_very_many_groups_neither_starves_nor_piles_up():
    rows = [("d", f"hot{g}", "de", "the same") for g in range(100)] + complete(7, ("de",))
    table = table_of(rows)
    sampler = HybridBatchSampler(table, Sampling("x-x-mono"), 8, steps=400)
    seen = Counter(row for batch in sampler.batches() for row in batch.queries.tolist())
    assert all(3 <= seen[row] <= 5 for row in range(100))
    stream = sampler._plans.mono.stream((0, 0, 0), (0,))
    waiting = []
    for _ in range(400):
        stream.take(8)
        waiting.append(len(stream._queries))
    assert max(waiting) <= 3 * len(rows)


@pytest.mark.parametrize("size", [1, 2, 5, 1000, 65_535, 65_536, 65_537, 100_003, 131_072])
def test_a_keyed_permutation_is_one(size):
    order = keyed_permutation(size, (3, 1))
    whole = order(np.arange(size))
    assert whole.dtype == np.int64
    assert np.array_equal(np.sort(whole), np.arange(size))
    # A function: whatever is asked for in whatever portions.
    asked = np.array([size - 1, 0, size // 2])
    assert np.array_equal(order(asked), whole[asked])
    assert np.array_equal(keyed_permutation(size, (3, 1))(asked), whole[asked])
    if size > 100:
        assert not np.array_equal(keyed_permutation(size, (3, 2))(np.arange(size)), whole)
        assert abs(np.corrcoef(np.arange(size), whole)[0, 1]) < 5 / math.sqrt(size)
        assert abs(np.corrcoef(whole[1:], whole[:-1])[0, 1]) < 5 / math.sqrt(size)


def test_examples_in_docstrings():
    assert doctest.testmod(walks).failed == 0


@pytest.mark.parametrize("regime", ["hybrid", "x-y", "x-x"])
def test_the_rows_that_an_epoch_draws(monkeypatch, regime):
    sampler = HybridBatchSampler(table_of(complete(400)), Sampling(regime), 8, steps=5, processes=2)
    # So few rows that planning would not pay.
    assert sampler.rows() is None
    monkeypatch.setattr("isoglot.training.sampling.sampler.FEW", 100)
    drawn = {row for batch in sampler for row in batch}
    assert sampler.rows().tolist() == sorted(drawn)
    assert len(sampler.table) > 2 * 5 * 8 * 2 > len(drawn) / 2
    everything = HybridBatchSampler(table_of(complete(400)), Sampling(regime), 8, steps=500)
    assert everything.rows() is None
