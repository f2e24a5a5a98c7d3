import math
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from isoglot.core.errors import InputError
from isoglot.core.files import read_json, write_json
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.measuring import bootstrap, evaluation, language_bias
from isoglot.measuring.evaluating import trained_languages
from isoglot.measuring.evaluation import load_evaluation
from isoglot.measuring.measures import average_precision, ndcg_at
from isoglot.measuring.metrics_record import pair_summary
from isoglot.measuring.per_query import CROSS, DELETION, MONO, POOL
from isoglot.measuring.scoring import score

LANGS = ("ar", "de", "el", "en")


def parallel(groups=6, langs=LANGS, extra=3):
    """One question a group in every language, one answer in each, and some passages that answer nothing."""
    queries = [(f"{lang}:q{g}", lang, f"g{g}", "?") for lang in langs for g in range(groups)]
    passages = [(f"{lang}:p{g}", lang, ".") for lang in langs for g in range(groups + extra)]
    return assemble("toy", queries, passages, {f"g{g}": [f"{lang}:p{g}" for lang in langs] for g in range(groups)})


def vectors(benchmark, seed=0, dimension=6, span=50):
    rng = np.random.default_rng(seed)
    shape = (len(benchmark.queries), dimension), (len(benchmark.candidates), dimension)
    return tuple(rng.integers(-span, span + 1, size).astype(np.float32) for size in shape)


def test_an_evaluation_equals_itself():
    benchmark = parallel(groups=2)
    first, again = (score(benchmark, *vectors(benchmark)) for _ in range(2))
    assert first == first
    assert first != again
    assert len({first, again, first}) == 2


def test_the_pools_share_is_of_languages_that_ask():
    """English questions, a pool with 3 English and 9 German passages: 3 / 12 of a ranking without bias is English."""
    passages = [(f"{lang}:p{n}", lang, ".") for lang, count in (("de", 9), ("en", 3)) for n in range(count)]
    benchmark = assemble("asked", [("q", "en", "g", "?")], passages, {"g": ["de:p0", "en:p0"]})
    assert score(benchmark, *vectors(benchmark)).metrics()[POOL]["pool_share"] == 0.25


def test_settings_equal_a_loop_over_pairs():
    benchmark = parallel()
    queries, passages = vectors(benchmark, span=1000)
    result = score(benchmark, queries, passages)
    scores, lang = queries @ passages.T, benchmark.candidates.lang
    assert result.ties == 0
    means = {}
    for x, code in enumerate(LANGS):
        for y, other in enumerate([*LANGS, "all"]):
            keep = lang == y if other != "all" else lang >= 0
            own = np.flatnonzero(benchmark.queries.lang == x)
            values = [
                average_precision_score(np.isin(np.flatnonzero(keep), benchmark.relevant(q)), scores[q, keep])
                for q in own
            ]
            means[code, other] = np.mean(values)
    record = result.metrics()
    for (x, y), mean in means.items():
        found = record["per_language"][x][POOL]["map"] if y == "all" else record["pairs"][f"{x}>{y}"]["map"]
        assert found == pytest.approx(mean)
    assert record[MONO]["map"] == pytest.approx(np.mean([means[x, x] for x in LANGS]))
    assert record[CROSS]["map"] == pytest.approx(np.mean([means[x, y] for x in LANGS for y in LANGS if x != y]))
    assert result.macro(POOL, "map") == pytest.approx(np.mean([means[x, "all"] for x in LANGS]))
    assert record["slices"]["script:Latin"]["languages"] == ["de", "en"]
    cross = [means[x, y] for x in ("de", "en") for y in LANGS if x != y]
    assert record["slices"]["script:Latin"][CROSS]["map"] == pytest.approx(np.mean(cross))
    gap = np.mean([(means[x, x] + means[y, y]) / 2 - means[x, y] for x in LANGS for y in LANGS if x != y])
    assert record["pair_summary"]["map"]["gap_to_diagonal"] == pytest.approx(gap)


def test_pair_summary_by_hand():
    matrix = np.array([[0.9, 0.5, 0.6], [0.7, 0.8, 0.4], [0.6, 0.5, 0.7]])
    found = pair_summary(matrix, ("de", "en", "th"))
    # mean of the diagonal .8, of the rest .55; |.5 - .7|, |.6 - .6|, |.4 - .5|
    assert found["gap_to_diagonal"] == pytest.approx(0.25)
    assert found["asymmetry"] == pytest.approx(0.1)
    assert (found["worst_pair"], found["worst"]) == ("en>th", 0.4)
    alone = pair_summary(np.array([[0.9]]), ("de",))
    assert alone["worst_pair"] is None
    assert math.isnan(alone["gap_to_diagonal"])


@given(st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_oracle_vectors_have_no_bias(seed):
    benchmark = parallel()
    rng = np.random.default_rng(seed)
    meaning = np.eye(9, dtype=np.float32)[rng.permutation(9)]
    number = np.array([int(key.partition("p")[2]) for key in benchmark.candidates.ids])
    result = score(benchmark, meaning[benchmark.group], meaning[number])
    record = result.metrics()
    assert record[MONO]["map"] == record[CROSS]["map"] == record[POOL]["map"] == 1
    assert record[POOL]["rank_distance"] == len(LANGS) - 1
    assert record[POOL]["rank_distance_normalised"] == 0
    assert record[POOL]["max@r_normalised"] == pytest.approx(100)
    assert record[POOL]["comp@10"] == record[POOL]["tlr@10"] == 1
    assert record["pair_summary"]["map"]["gap_to_diagonal"] == 0
    assert result.ties > 0
    assert np.all(np.nan_to_num(result.values[DELETION, "map"].matrix) == 0)


def test_vectors_of_language_alone_stay_in_their_language():
    benchmark = parallel(groups=12)
    identity = np.eye(len(LANGS), dtype=np.float32)
    result = score(benchmark, identity[benchmark.queries.lang], identity[benchmark.candidates.lang])
    assert result.macro(POOL, "same_language@10") == 1
    assert result.metrics()[POOL]["pool_share"] == pytest.approx(1 / len(LANGS))
    assert result.macro(POOL, "lpr") == 1
    assert result.macro(POOL, "lpr_unbiased") == pytest.approx(1 / len(LANGS))


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_order_of_candidates_changes_nothing(seed):
    benchmark = parallel()
    queries, passages = vectors(benchmark, seed, span=1000)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(passages))
    shuffled = assemble(
        "toy",
        [
            (key, LANGS[lang], benchmark.groups[group], "?")
            for key, lang, group in zip(benchmark.queries.ids, benchmark.queries.lang, benchmark.group, strict=True)
        ],
        [(benchmark.candidates.ids[c], LANGS[benchmark.candidates.lang[c]], ".") for c in order],
        {g: [f"{lang}:p{g[1:]}" for lang in LANGS] for g in benchmark.groups},
    )
    position = {key: index for index, key in enumerate(benchmark.candidates.ids)}
    moved = passages[[position[key] for key in shuffled.candidates.ids]]
    a, b = score(benchmark, queries, passages), score(shuffled, queries, moved)
    if not a.ties and not b.ties:
        assert a.metrics() == b.metrics()


def test_saved_and_read_back(tmp_path):
    benchmark = parallel()
    result = score(benchmark, *vectors(benchmark), name="m", trained=("de", "fr")).with_intervals(200)
    result.save(tmp_path)
    back = load_evaluation(tmp_path)
    assert back.metrics() == result.metrics()
    assert back.values.keys() == result.values.keys()
    for key, values in result.values.items():
        assert back.values[key].cells == values.cells
        np.testing.assert_array_equal(back.values[key].matrix, values.matrix)
    table = pq.read_table(tmp_path / "per_query.parquet")
    assert table.column_names == [
        "benchmark", "setting", "query_lang", "passage_lang", "group", "query_id", "measure", "value",
    ]  # fmt: skip
    row = table.to_pylist()[0]
    assert row["query_id"] == f"{row['query_lang']}:{row['group']}"


def test_seen_and_unseen_languages():
    benchmark = parallel()
    result = score(benchmark, *vectors(benchmark), trained=("de", "fr"))
    record = result.metrics()
    assert record["slices"]["seen"]["languages"] == ["de"]
    assert record["slices"]["unseen"]["languages"] == ["ar", "el", "en"]
    own = [record["per_language"][code][MONO]["map"] for code in ("ar", "el", "en")]
    assert record["slices"]["unseen"][MONO]["map"] == pytest.approx(np.mean(own))
    assert "seen" not in score(benchmark, *vectors(benchmark)).metrics()["slices"]


def test_languages_of_a_trained_folder(tmp_path):
    assert trained_languages("embedded") is None
    assert trained_languages(str(tmp_path)) is None
    write_json(tmp_path / "run.json", {"verb": "train", "languages": ["de", "ar"]})
    assert trained_languages(str(tmp_path)) == ("de", "ar")
    write_json(tmp_path / "run.json", {"verb": "evaluate", "languages": ["de"]})
    assert trained_languages(str(tmp_path)) is None


def test_intervals_are_those_of_one_measure_alone():
    benchmark = parallel(groups=40)
    result = score(benchmark, *vectors(benchmark)).with_intervals(4000)
    for setting, measure in ((MONO, "map"), (CROSS, "recall@1"), (POOL, "rank_distance")):
        for name, own in result.slices().items():
            found = result.intervals[f"{setting}.{measure}"][name]
            values = result.values[setting, measure]
            alone = bootstrap.interval(values.matrix[:, values.numbers(set(own))], resamples=4000, seed=9)
            assert found.estimate == pytest.approx(alone.estimate)
            assert found.groups == alone.groups == 40
            assert found.standard_error == pytest.approx(alone.standard_error, rel=0.1)
            assert found.low == pytest.approx(alone.low, abs=alone.standard_error / 2)
    record = result.metrics()["intervals"]["multilingual.map"]["all"]
    # 2.80 standard errors of the difference of two independent runs
    assert record["detectable"] == pytest.approx(2.8016 * math.sqrt(2) * record["standard_error"], rel=1e-4)


def test_a_pair_counts_only_questions_answered_there():
    """As in MLQA-R: g0 has answers in ar and de, g1 in de and en; de>en rests on g1 alone."""
    queries = [(f"{lang}:{g}", lang, g, "?") for g, lang in (("g0", "ar"), ("g0", "de"), ("g1", "de"), ("g1", "en"))]
    passages = [(f"{lang}:{n}", lang, ".") for lang in ("ar", "de", "en") for n in range(3)]
    benchmark = assemble("part", queries, passages, {"g0": ["ar:0", "de:0"], "g1": ["de:1", "en:1"]})
    result = score(benchmark, *vectors(benchmark))
    present = {
        cell: int((~np.isnan(result.values[CROSS, "map"].matrix[:, index])).sum())
        for index, cell in enumerate(result.values[CROSS, "map"].cells)
    }
    assert present == {
        ("ar", "de"): 1, ("ar", "en"): 0, ("de", "ar"): 1, ("de", "en"): 1, ("en", "ar"): 0, ("en", "de"): 1,
    }  # fmt: skip
    assert math.isnan(result.metrics()["pairs"]["ar>en"]["map"])
    known = [v["map"] for k, v in result.metrics()["pairs"].items() if k[:2] != k[3:] and not math.isnan(v["map"])]
    assert result.macro(CROSS, "map") == pytest.approx(np.mean(known))
    intervals = result.with_intervals(100).intervals
    assert intervals["cross_lingual.map"]["all"].groups == 2


def test_bias_is_not_reported_where_answers_are_in_one_language():
    queries = [("de:1", "de", "de:1", "?"), ("en:1", "en", "en:1", "?")]
    passages = [(f"{lang}:{n}", lang, ".") for lang in ("de", "en") for n in range(4)]
    benchmark = assemble("own", queries, passages, {"de:1": ["de:0", "de:1"], "en:1": ["en:2"]}, by="query")
    result = score(benchmark, *vectors(benchmark))
    record = result.metrics()
    assert not {"rank_distance", "lpr", "comp@10", "tlr@10", "mrc@10"} & record[POOL].keys()
    assert {"map", "same_language@10", "pool_share"} <= record[POOL].keys()
    assert any("not reported" in note for note in record["notes"])
    assert DELETION not in record


def test_peer_only_where_a_language_has_several():
    assert any("PEER" in note for note in score(parallel(), *vectors(parallel())).notes)
    queries = [(f"{lang}:q", lang, "g", "?") for lang in ("de", "en")]
    passages = [(f"{lang}:{n}", lang, ".") for lang in ("de", "en") for n in range(4)]
    several = assemble("several", queries, passages, {"g": ["de:0", "de:1", "en:2", "en:3"]})
    result = score(several, *vectors(several))
    assert 0 <= result.macro(POOL, "peer@100") <= 1


@pytest.mark.parametrize(
    ("queries", "answers", "message"),
    [
        ([("a", "de", "g", "?"), ("a", "de", "h", "?")], {}, "query ids repeat"),
        ([("a", "de", "g", "?"), ("b", "de", "g", "?")], {}, "two queries of one group"),
        ([("a", "de", "g", "?")], {"g": ["nowhere"]}, "1 relevant passages are not in the corpus"),
        ([], {}, "0 queries"),
    ],
)
def test_bad_benchmarks_are_refused(queries, answers, message):
    with pytest.raises(InputError, match=message):
        assemble("bad", queries, [("p", "de", ".")], answers)


def test_wrong_numbers_of_vectors_are_refused():
    benchmark = parallel()
    queries, passages = vectors(benchmark)
    with pytest.raises(InputError, match="23 query vectors for 24 texts"):
        score(benchmark, queries[:-1], passages)
    with pytest.raises(InputError, match="expected"):
        score(benchmark, queries[:, :-1], passages)


def test_a_broken_result_is_refused(tmp_path):
    benchmark = parallel()
    score(benchmark, *vectors(benchmark)).save(tmp_path)
    record = read_json(tmp_path / "metrics.json")
    record["per_language"]["de"]["candidates"] = "many"
    write_json(tmp_path / "metrics.json", record)
    with pytest.raises(InputError, match="evaluate again"):
        load_evaluation(tmp_path)
    write_json(tmp_path / "metrics.json", {"languages": ["de"]})
    with pytest.raises(InputError, match="evaluate again"):
        load_evaluation(tmp_path)
    (tmp_path / "per_query.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be read"):
        load_evaluation(tmp_path)
    (tmp_path / "per_query.parquet").unlink()
    with pytest.raises(InputError, match="no such file"):
        load_evaluation(tmp_path)


def test_the_worked_example_of_the_documentation():
    """docs/measuring.md: answers in de, en, th at ranks 1, 3, 10 of 12; the question is German."""
    offsets, ranks, langs, asked = np.array([0, 3]), np.array([1, 3, 10]), np.array([0, 1, 2]), np.array([0])
    assert average_precision(offsets, ranks)[0] == pytest.approx(0.656, abs=5e-4)
    assert ndcg_at(offsets, ranks, 10)[0] == pytest.approx(0.840, abs=5e-4)
    assert language_bias.rank_distance(offsets, ranks)[0] == 9
    assert language_bias.normalised_rank_distance(offsets, ranks, 12)[0] == pytest.approx(0.778, abs=5e-4)
    assert language_bias.normalised_max_at_r(offsets, ranks, 12)[0] == pytest.approx(13.2, abs=0.05)
    assert language_bias.one_target_deletion(offsets, ranks, langs, 3)[0, 2] == pytest.approx(-0.178, abs=5e-4)
    assert (
        language_bias.tlr_at(offsets, ranks, langs, asked, 10)[0] == language_bias.comp_at(offsets, ranks, 10)[0] == 1
    )
    pairs = pair_summary(np.array([[0.9, 0.5], [0.7, 0.8]]), ("de", "en"))
    assert (pairs["gap_to_diagonal"], pairs["asymmetry"]) == pytest.approx((0.25, 0.2))
    assert pairs["worst_pair"] == "de>en"


def test_a_measure_that_there_is_nowhere_is_refused():
    benchmark = parallel()
    result = score(benchmark, *vectors(benchmark))
    assert {name for _, name in result.values} <= evaluation._KNOWN
    assert math.isnan(result.macro(MONO, "rank_distance"))
    assert math.isnan(result.macro(POOL, "peer@100"))
    for name in ("ndcg", "mAP", "recall@5"):
        with pytest.raises(InputError, match=f"measure '{name}': no such measure; there are: map, recall@1, "):
            result.macro(POOL, name)


def test_memory_does_not_grow_with_pairs_of_languages_where_none_answers_another(tmp_path):
    """In 30 languages, each with questions and answers of its own: the other 870 pairs took 42 kB a question."""
    codes = "afarbgbncsdadeelenesetfafifrgahehihrhuiditjakakoltlvnlplptro"
    langs = [codes[at : at + 2] for at in range(0, 60, 2)]
    queries = [(f"{lang}:q{n}", lang, f"{lang}{n}", "?") for lang in langs for n in range(20)]
    passages = [(f"{lang}:p{n}", lang, ".") for lang in langs for n in range(20)]
    answers = {f"{lang}{n}": [f"{lang}:p{n}"] for lang in langs for n in range(20)}
    benchmark = assemble("apart", queries, passages, answers)
    given = vectors(benchmark)
    tracemalloc.start()
    try:
        result = score(benchmark, *given)
        assert tracemalloc.get_traced_memory()[1] < 3 * 8 * len(queries) * len(langs) ** 2
    finally:
        tracemalloc.stop()
    result.save(tmp_path)
    for one in (result, load_evaluation(tmp_path)):
        assert math.isnan(one.macro(CROSS, "map"))
        assert one.macro(MONO, "map") == pytest.approx(result.macro(MONO, "map"))
        found = one.metrics()["pairs"]
        assert len(found) == len(langs) ** 2
        assert {pair for pair, own in found.items() if not math.isnan(own["map"])} == {f"{x}>{x}" for x in langs}
