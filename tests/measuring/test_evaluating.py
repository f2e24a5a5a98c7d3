import importlib
import json
import math

import ir_measures
import numpy as np
import pyarrow.parquet as pq
import pytest
from ir_measures import AP, RR, R, nDCG
from sklearn.metrics import average_precision_score

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble, from_rows
from isoglot.data.prepared import prepare
from isoglot.measuring.evaluating import evaluate
from isoglot.measuring.evaluation import load_evaluation
from isoglot.measuring.per_query import CROSS, MONO, POOL
from isoglot.measuring.scoring import score

# Two groups in two languages; the candidates are unit vectors, so a query's vector is its list of scores.
HAND = assemble(
    "hand",
    [(f"{lang}{group}", lang, group, "?") for lang in ("de", "en") for group in "ab"],
    [("d1", "de", "1"), ("d2", "de", "2"), ("e1", "en", "3"), ("e2", "en", "4")],
    {"a": ["d1", "e1"], "b": ["d2", "e2"]},
)
SCORES = np.array(
    [
        # d1, d2, e1, e2
        [0.9, 0.5, 0.1, 0.3],  # de a: d1 d2 e2 e1
        [0.8, 0.6, 0.7, 0.2],  # de b: d1 e1 d2 e2
        [0.2, 0.1, 0.9, 0.8],  # en a: e1 e2 d1 d2
        [0.1, 0.4, 0.3, 0.3],  # en b: d2 e1 e2 d1, where e1 = e2 and the lower position comes first
    ],
    np.float32,
)


@pytest.fixture(scope="module")
def by_hand():
    return score(HAND, SCORES, np.eye(4, dtype=np.float32), name="by hand")


def cell(result, setting, measure, group, x, y):
    values = result.values[setting, measure]
    return values.matrix[result.groups.index(group), values.cells.index((x, y))]


def test_values_worked_by_hand(by_hand):
    expected = {
        (MONO, "map", "a", "de", "de"): 1.0,
        (MONO, "map", "b", "de", "de"): 0.5,
        (MONO, "map", "a", "en", "en"): 1.0,
        (MONO, "map", "b", "en", "en"): 0.5,
        (CROSS, "map", "a", "de", "en"): 0.5,
        (CROSS, "map", "b", "de", "en"): 0.5,
        (CROSS, "map", "a", "en", "de"): 1.0,
        (CROSS, "map", "b", "en", "de"): 1.0,
        (POOL, "map", "a", "de", "all"): (1 / 1 + 2 / 4) / 2,
        (POOL, "map", "b", "de", "all"): (1 / 3 + 2 / 4) / 2,
        (POOL, "map", "a", "en", "all"): (1 / 1 + 2 / 3) / 2,
        (POOL, "map", "b", "en", "all"): (1 / 1 + 2 / 3) / 2,
        (POOL, "rank_distance", "a", "de", "all"): 4 - 1,
        (POOL, "rank_distance", "b", "de", "all"): 4 - 3,
        (POOL, "rank_distance", "a", "en", "all"): 3 - 1,
        (POOL, "rank_distance", "b", "en", "all"): 3 - 1,
        (MONO, "recall@1", "b", "de", "de"): 0.0,
        (CROSS, "recall@1", "a", "en", "de"): 1.0,
        (POOL, "recall@10", "a", "de", "all"): 1.0,
    }
    found = {key: cell(by_hand, *key) for key in expected}
    assert found == pytest.approx(expected)
    assert by_hand.ties == 1


def test_macro_means_worked_by_hand(by_hand):
    assert by_hand.macro(MONO, "map") == pytest.approx(0.75)
    assert by_hand.macro(MONO, "recall@1") == pytest.approx(0.5)
    assert by_hand.macro(CROSS, "map") == pytest.approx((0.5 + 1.0) / 2)
    assert by_hand.macro(POOL, "map") == pytest.approx(((3 / 4 + 5 / 12) / 2 + 5 / 6) / 2)
    assert by_hand.macro(POOL, "rank_distance") == pytest.approx(2.0)


def test_the_schema_of_metrics_json(by_hand, tmp_path):
    by_hand.save(tmp_path)
    record = json.loads((tmp_path / "metrics.json").read_text())
    assert (record["benchmark"], record["model"], record["languages"]) == ("hand", "by hand", ["de", "en"])
    assert {"map", "recall@1"} <= record["monolingual"].keys()
    assert {"map", "recall@1"} <= record["cross_lingual"].keys()
    assert {"map", "recall@10", "rank_distance"} <= record["multilingual"].keys()
    assert record["monolingual"]["map"] == pytest.approx(0.75)
    assert record["pairs"]["de>en"]["map"] == pytest.approx(0.5)
    assert record["pairs"]["en>en"]["map"] == pytest.approx(0.75)
    assert set(record["pairs"]) == {"de>de", "de>en", "en>de", "en>en"}
    assert record["per_language"]["de"]["multilingual"]["map"] == pytest.approx(7 / 12)
    assert record["per_language"]["en"]["cross_lingual"]["map"] == pytest.approx(1.0)


def test_the_per_query_table(by_hand, tmp_path):
    by_hand.save(tmp_path)
    table = pq.read_table(tmp_path / "per_query.parquet")
    names = ["benchmark", "setting", "query_lang", "passage_lang", "group", "query_id", "measure", "value"]
    assert table.column_names == names
    rows = [row for row in table.to_pylist() if (row["setting"], row["measure"]) == (POOL, "rank_distance")]
    assert {(row["query_lang"], row["group"]): row["value"] for row in rows} == {
        ("de", "a"): 3.0,
        ("de", "b"): 1.0,
        ("en", "a"): 2.0,
        ("en", "b"): 2.0,
    }
    assert {(row["benchmark"], row["passage_lang"]) for row in rows} == {("hand", "all")}


def random_vectors(benchmark, seed=0):
    """Unit vectors that know a little about the group, so that ranks are neither all 1 nor all chance."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(benchmark.groups), 12))
    queries = centres[benchmark.group] + rng.normal(size=(len(benchmark.queries), 12))
    candidates = rng.normal(size=(len(benchmark.candidates), 12))
    for query in range(len(benchmark.queries)):
        candidates[benchmark.relevant(query)] += 0.3 * centres[benchmark.group[query]]
    return tuple(
        (part / np.linalg.norm(part, axis=1, keepdims=True)).astype(np.float32) for part in (queries, candidates)
    )


@pytest.fixture(scope="module")
def rows_benchmark(rows_file, tmp_path_factory):
    return from_rows(prepare([rows_file], tmp_path_factory.mktemp("bench") / "rows", show_progress=False))


def test_every_setting_agrees_with_ir_measures_and_scikit_learn(rows_benchmark):
    benchmark = rows_benchmark
    queries, candidates = random_vectors(benchmark)
    result = score(benchmark, queries, candidates)
    assert result.ties == 0
    names = {"map": AP, "recall@1": R @ 1, "recall@10": R @ 10, "ndcg@10": nDCG @ 10, "mrr": RR}
    scores = queries @ candidates.T
    lang = np.asarray(benchmark.candidates.lang)
    checked = 0
    for query in range(len(benchmark.queries)):
        group = benchmark.groups[benchmark.group[query]]
        x = benchmark.languages[benchmark.queries.lang[query]]
        relevant = set(benchmark.relevant(query).tolist())
        for y in [*benchmark.languages, "all"]:
            among = [c for c in range(len(lang)) if y in ("all", benchmark.languages[lang[c]])]
            setting = POOL if y == "all" else MONO if x == y else CROSS
            gold = [int(c in relevant) for c in among]
            if not any(gold):
                assert math.isnan(cell(result, setting, "map", group, x, y))
                continue
            own = scores[query, among]
            assert cell(result, setting, "map", group, x, y) == pytest.approx(average_precision_score(gold, own))
            if query % 7 == 0:
                checked += 1
                qrels = {"q": {str(c): flag for c, flag in zip(among, gold, strict=True) if flag}}
                run = {"q": {str(c): float(value) for c, value in zip(among, own, strict=True)}}
                theirs = ir_measures.calc_aggregate(list(names.values()), qrels, run)
                ours = {measure: cell(result, setting, name, group, x, y) for name, measure in names.items()}
                assert ours == pytest.approx(theirs)
    assert checked > 60


def test_macro_means_equal_plain_averages(rows_benchmark):
    result = score(rows_benchmark, *random_vectors(rows_benchmark))
    for setting in (MONO, CROSS, POOL):
        matrix = result.values[setting, "map"].matrix
        columns = [column[~np.isnan(column)].mean() for column in matrix.T if not np.isnan(column).all()]
        assert result.macro(setting, "map") == pytest.approx(np.mean(columns))


def test_saved_evaluations_come_back(rows_benchmark, tmp_path):
    result = score(rows_benchmark, *random_vectors(rows_benchmark), name="random")
    result.save(tmp_path)
    again = load_evaluation(tmp_path)
    assert (again.benchmark, again.model, again.languages) == (result.benchmark, "random", result.languages)
    assert (again.groups, again.ties) == (result.groups, result.ties)
    assert again.values.keys() == result.values.keys()
    for key, values in result.values.items():
        assert again.values[key].cells == values.cells
        np.testing.assert_array_equal(again.values[key].matrix, values.matrix)
    assert json.dumps(again.metrics()) == json.dumps(result.metrics())


def test_one_language_has_no_pairs(tmp_path):
    benchmark = assemble(
        "one",
        [("q", "de", "a", "?"), ("r", "de", "b", "?")],
        [("c", "de", "x"), ("d", "de", "y")],
        {"a": "c", "b": "d"},
    )
    result = score(benchmark, np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    assert result.macro(MONO, "map") == result.macro(POOL, "map") == 1.0
    assert math.isnan(result.macro(CROSS, "map"))
    result.save(tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["cross_lingual"].get("map") is None
    assert load_evaluation(tmp_path).macro(MONO, "map") == 1.0


@pytest.mark.parametrize(
    ("queries", "candidates"),
    [(SCORES[:3], np.eye(4)), (SCORES, np.eye(4)[:3]), (SCORES, np.eye(4)[:, :3]), (SCORES * np.nan, np.eye(4))],
)
def test_vectors_that_do_not_fit(queries, candidates):
    with pytest.raises(InputError):
        score(HAND, queries, candidates.astype(np.float32))


@pytest.mark.parametrize("damage", ["metrics", "table"])
def test_a_damaged_result_is_named(by_hand, tmp_path, damage):
    by_hand.save(tmp_path)
    if damage == "metrics":
        (tmp_path / "metrics.json").write_text("{")
    else:
        (tmp_path / "per_query.parquet").unlink()
    with pytest.raises(InputError, match=str(tmp_path)):
        load_evaluation(tmp_path)


def test_a_model_is_encoded_once_and_scored(tiny_model, lareqa_folder, monkeypatch):
    module = importlib.import_module("isoglot.measuring.benchmark_vectors")
    from isoglot.data.benchmarks.lareqa import load_lareqa
    from isoglot.encoders.loading import load

    benchmark, encode, seen = load_lareqa(lareqa_folder), module.encode, []
    monkeypatch.setattr(module, "encode", lambda *a, **k: (seen.append((a[2], len(a[1]))), encode(*a, **k))[1])
    result = evaluate(str(tiny_model), benchmark, precision="fp32")
    assert seen == [("query", 35), ("passage", 48)]
    assert result.model == str(tiny_model)
    assert result.candidates == {"de": 16, "en": 16, "zh": 16}
    model = load(str(tiny_model))
    queries, candidates = benchmark.queries.texts, benchmark.candidates.texts
    plain = score(benchmark, model.encode_query(queries), model.encode_document(candidates))
    assert result.macro(MONO, "map") == pytest.approx(plain.macro(MONO, "map"), abs=0.01)
