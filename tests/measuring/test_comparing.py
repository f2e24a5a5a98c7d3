import math

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.measuring.bootstrap import interval, paired_difference
from isoglot.measuring.comparing import HEADLINE, compare, macro_interval, stacked
from isoglot.measuring.evaluation import Evaluation
from isoglot.measuring.per_query import CROSS, MONO, POOL, Values

LANGS = ("ar", "de", "en", "th")
GROUPS = [f"g{number:02}" for number in range(60)]


def cells(setting):
    return {
        MONO: tuple((x, x) for x in LANGS),
        CROSS: tuple((x, y) for x in LANGS for y in LANGS if x != y),
        POOL: tuple((x, "all") for x in LANGS),
    }[setting]


def evaluation(shift=None, *, distance=0.0, seed=0, **more):
    """Per-query values: the same noise in every run, `shift` a language added, and a rank distance."""
    rng = np.random.default_rng(1)
    own = np.random.default_rng(seed + 10)
    values = {}
    for setting, measure in HEADLINE:
        columns = cells(setting)
        matrix = rng.random((len(GROUPS), len(columns)))
        if measure == "rank_distance":
            matrix = 100 * matrix + distance
        else:
            matrix += [(shift or {}).get(x, 0.0) for x, _ in columns]
        matrix += 0.01 * own.normal(size=matrix.shape)
        values[setting, measure] = Values(setting, measure, columns, matrix)
    facts = {"benchmark": "b", "model": "m", "languages": LANGS, "groups": GROUPS, "values": values, "ties": 0}
    return Evaluation(**{**facts, **more})


@pytest.fixture(scope="module")
def stacks():
    better = evaluation({"de": 0.2, "th": -0.1}, distance=-50, seed=1)
    return stacked([("base", evaluation()), ("x-x-mono", better), ("hybrid-0.5", better)])


def found_of(comparisons, a, b, measure, name):
    (one,) = (c for c in comparisons if (c.a, c.b, c.measure, c.slice) == (a, b, measure, name))
    return one


def test_every_later_regime_against_every_earlier_one(stacks):
    found = compare(stacks, resamples=200)
    assert {(c.a, c.b) for c in found} == {("x-x-mono", "base"), ("hybrid-0.5", "base"), ("hybrid-0.5", "x-x-mono")}
    names = {c.slice for c in found if c.measure == "monolingual.map"}
    # One language alone is no family or script of its own.
    assert names == {"all", *LANGS, "family:Indo-European", "script:Latin"}
    assert {c.measure for c in found} == {f"{setting}.{measure}" for setting, measure in HEADLINE}


def test_seen_and_unseen_where_both_were_trained_on_the_same():
    runs = [("base", None), ("some", ("de", "en")), ("again", ("de", "en")), ("more", ("de", "en", "th"))]
    made = stacked([(name, evaluation(trained=trained)) for name, trained in runs])
    found = {(c.a, c.b) for c in compare(made, resamples=20) if c.slice == "unseen"}
    assert found == {("some", "base"), ("again", "base"), ("again", "some"), ("more", "base")}


def test_what_is_significant_and_what_is_not(stacks):
    found = compare(stacks, resamples=500)
    gain, loss = (found_of(found, "hybrid-0.5", "base", "monolingual.map", lang) for lang in ("de", "th"))
    assert gain.difference == pytest.approx(0.2, abs=0.01)
    assert loss.difference == pytest.approx(-0.1, abs=0.01)
    assert gain.low < gain.difference < gain.high
    assert gain.significant
    assert loss.significant
    for lang in ("ar", "en"):
        assert not found_of(found, "hybrid-0.5", "base", "monolingual.map", lang).significant
    family = found_of(found, "hybrid-0.5", "base", "monolingual.map", "family:Indo-European")
    assert family.difference == pytest.approx(0.1, abs=0.01)
    distance = found_of(found, "hybrid-0.5", "base", "multilingual.rank_distance", "all")
    assert distance.difference == pytest.approx(-50, abs=0.1)
    assert distance.significant
    same = found_of(found, "hybrid-0.5", "x-x-mono", "monolingual.map", "all")
    assert (same.difference, same.significant, same.groups) == (0.0, False, 60)


def test_languages_are_corrected_by_holms_method(stacks):
    found = compare(stacks, resamples=500)
    base, later = stacks[0], stacks[1]
    raw = {}
    for lang in LANGS:
        parts = (stack.part((MONO, "map"), {lang}) for stack in (later, base))
        raw[lang] = paired_difference(*parts, resamples=500).p
    ordered, running, expected = sorted(raw, key=raw.get), 0.0, {}
    for rank, lang in enumerate(ordered):
        running = max(running, min(1.0, raw[lang] * (len(LANGS) - rank)))
        expected[lang] = running
    for lang in LANGS:
        assert found_of(found, "x-x-mono", "base", "monolingual.map", lang).p == pytest.approx(expected[lang])
    whole = paired_difference(later.matrices[MONO, "map"], base.matrices[MONO, "map"], resamples=500)
    assert found_of(found, "x-x-mono", "base", "monolingual.map", "all").p == whole.p


def test_seeds_stand_together():
    runs = [("base", evaluation()), *(("hybrid-0.5", evaluation({"de": 0.1}, seed=seed)) for seed in (1, 2, 3))]
    base, hybrid = stacked(runs)
    assert base.matrices[MONO, "map"].shape == (1, 60, 4)
    assert hybrid.matrices[CROSS, "map"].shape == (3, 60, 12)
    assert hybrid.part((CROSS, "map"), {"de", "th"}).shape == (3, 60, 6)
    found = macro_interval(hybrid, (POOL, "map"), resamples=300)
    assert found == interval(hybrid.matrices[POOL, "map"], resamples=300)


def test_levels_stay_in_their_measures_range():
    """Two seeds of .96 and 1: Student's t of one degree of freedom would reach far beyond 1."""
    seeds = np.array([0.96, 1.0])[:, None, None] * np.ones((2, 60, 4))
    for key, wide, ends in (((POOL, "map"), 1, (0, 1)), ((POOL, "rank_distance"), 100, (0, math.inf))):
        values = [Values(*key, tuple((lang, "all") for lang in LANGS), wide * seed) for seed in seeds]
        (one,) = stacked([("x-y", evaluation(values={key: own})) for own in values])
        free = interval(one.matrices[key], resamples=2000)
        kept = macro_interval(one, key, resamples=2000)
        assert free.high > 1.1 * wide
        assert (kept.low, kept.high) == (max(free.low, ends[0]), min(free.high, ends[1]))


def test_runs_on_other_benchmarks_are_refused():
    for other in ({"benchmark": "c"}, {"groups": [*GROUPS[1:], "new"]}):
        with pytest.raises(InputError, match=r"hybrid-0\.5: measured on"):
            stacked([("base", evaluation()), ("hybrid-0.5", evaluation(**other))])


def test_a_setting_that_nobody_measured_is_left_out():
    """One language has no pairs: fresh runs have an empty matrix there, runs read back none at all."""
    fresh = evaluation()
    empty = Values(CROSS, "map", (), np.empty((60, 0)))
    fresh = evaluation(values={**fresh.values, (CROSS, "map"): empty})
    saved = evaluation(values={key: values for key, values in fresh.values.items() if key[0] != CROSS})
    stacks = stacked([("base", saved), ("x-y", fresh), ("x-y", saved)])
    assert macro_interval(stacks[0], (CROSS, "map"), resamples=50) is None
    assert macro_interval(stacks[1], (CROSS, "map"), resamples=50) is None
    found = compare(stacks, resamples=50)
    assert {c.measure for c in found} == {"monolingual.map", "multilingual.map", "multilingual.rank_distance"}
