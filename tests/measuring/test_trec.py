import doctest

import ir_measures
import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.measuring import trec
from isoglot.measuring.per_query import MONO, POOL
from isoglot.measuring.scoring import score, score_run
from isoglot.measuring.trec import label_of, run_lines, strictly_falling, trec_id, write_trec

LANGS = ("de", "en", "th")


@pytest.fixture(scope="module")
def problem():
    """Four groups in three languages; vectors of small integers, so that many scores tie."""
    queries = [(f"{lang}:g{g}", lang, f"g{g}", "?") for lang in LANGS for g in range(4)]
    passages = [(f"{lang}:{n}", lang, ".") for lang in LANGS for n in range(9)]
    answers = {f"g{g}": [f"{lang}:{g}" for lang in LANGS] for g in range(4)}
    benchmark = assemble("toy", queries, passages, answers)
    rng = np.random.default_rng(0)
    return benchmark, *(rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (12, 27))


def per_query(result, setting, measure):
    values = result.values[setting, measure]
    return {
        f"{cell[0]}:{group}": values.matrix[row, column]
        for row, group in enumerate(result.groups)
        for column, cell in enumerate(values.cells)
    }


def test_trec_eval_gives_our_numbers_in_spite_of_ties(tmp_path, problem):
    benchmark, queries, passages = problem
    ours = score(benchmark, queries, passages)
    assert ours.ties > 10
    write_trec(tmp_path, benchmark, queries, passages, depth=0)
    names = {
        ir_measures.AP: "map",
        ir_measures.nDCG @ 10: "ndcg@10",
        ir_measures.R @ 10: "recall@10",
        ir_measures.RR: "mrr",
    }
    for setting in (MONO, POOL):
        qrels = list(ir_measures.read_trec_qrels(str(tmp_path / f"{setting}.qrels")))
        run = list(ir_measures.read_trec_run(str(tmp_path / f"{setting}.run")))
        assert len(run) == 12 * (9 if setting == MONO else 27)
        results = list(ir_measures.iter_calc(list(names), qrels, run))
        assert len(results) == 12 * len(names)
        for result in results:
            expected = per_query(ours, setting, names[result.measure])[result.query_id]
            assert result.value == pytest.approx(expected, abs=1e-9)


def test_trec_eval_counts_queries_that_nothing_answers(tmp_path):
    """As our figures do: without a line in the qrels they would not be in its means."""
    queries = [(f"{lang}:q{n}", lang, f"{lang}:q{n}", "?") for lang in ("de", "en") for n in range(3)]
    passages = [(f"{lang}:{n}", lang, ".") for lang in ("de", "en") for n in range(4)]
    answers = {"de:q0": {"de:0": 1}, "de:q1": {"de:1": 0}, "de:q2": {"en:1": 1}, "en:q0": {}, "en:q1": {"de:3": 2}}
    benchmark = assemble("bare", [query for query in queries if query[0] != "en:q2"], passages, answers, by="query")
    vectors = [np.random.default_rng(3).standard_normal((n, 3)).astype(np.float32) for n in (5, 8)]
    ours = score(benchmark, *vectors)
    write_trec(tmp_path, benchmark, *vectors, depth=0)
    for setting, queries_counted in ((MONO, 2), (POOL, 5)):
        qrels = list(ir_measures.read_trec_qrels(str(tmp_path / f"{setting}.qrels")))
        run = list(ir_measures.read_trec_run(str(tmp_path / f"{setting}.run")))
        measured = [ir_measures.AP, ir_measures.nDCG @ 10]
        theirs = {(r.query_id, str(r.measure)): r.value for r in ir_measures.iter_calc(measured, qrels, run)}
        assert len(theirs) == 2 * queries_counted
        for measure, name in (("AP", "map"), ("nDCG@10", "ndcg@10")):
            values = ours.values[setting, name].matrix
            assert np.count_nonzero(~np.isnan(values)) == queries_counted
            expected = np.nansum(values)
            assert sum(v for (_, m), v in theirs.items() if m == measure) == pytest.approx(expected, abs=1e-9)


def test_a_full_run_is_scored_like_the_vectors(tmp_path, problem):
    benchmark, queries, passages = problem
    ours = score(benchmark, queries, passages)
    write_trec(tmp_path, benchmark, queries, passages, depth=0)
    back = score_run(benchmark, tmp_path / "multilingual.run")
    assert back.depth is None
    assert back.ties == 0  # the scores fall strictly
    for key, values in ours.values.items():
        if key[1] != "mrc@10":
            np.testing.assert_allclose(back.values[key].matrix, values.matrix, err_msg=str(key))
    assert (POOL, "mrc@10") not in back.values


def test_a_short_run_says_what_it_cannot_say(tmp_path, problem):
    benchmark, queries, passages = problem
    write_trec(tmp_path, benchmark, queries, passages, depth=5)
    short, full = score_run(benchmark, tmp_path / "multilingual.run"), score(benchmark, queries, passages)
    assert short.depth == 5
    assert short.metrics()["depth"] == 5
    assert any("lower bounds" in note for note in short.notes)
    assert any("rank distance" in note for note in short.notes)
    assert (POOL, "rank_distance") not in short.values
    np.testing.assert_allclose(short.values[POOL, "recall@1"].matrix, full.values[POOL, "recall@1"].matrix)
    assert short.macro(POOL, "map") <= full.macro(POOL, "map")
    qrels = list(ir_measures.read_trec_qrels(str(tmp_path / "multilingual.qrels")))
    run = list(ir_measures.read_trec_run(str(tmp_path / "multilingual.run")))
    for result in ir_measures.iter_calc([ir_measures.AP], qrels, run):
        assert per_query(short, POOL, "map")[result.query_id] == pytest.approx(result.value, abs=1e-9)


def test_a_monolingual_run(tmp_path, problem):
    benchmark, queries, passages = problem
    write_trec(tmp_path, benchmark, queries, passages, depth=0)
    own = score_run(benchmark, tmp_path / "monolingual.run", own_language=True)
    assert own.macro(MONO, "map") == pytest.approx(score(benchmark, queries, passages).macro(MONO, "map"))
    assert {setting for setting, _ in own.values} == {MONO}
    assert own.depth is None  # each query lists all of its own language
    assert not any("lower bounds" in note for note in own.notes)
    by_lang = {}
    for lang in benchmark.languages:
        by_lang[lang] = tmp_path / f"{lang}.run"
        lines = (tmp_path / "monolingual.run").read_text().splitlines(keepends=True)
        by_lang[lang].write_text("".join(line for line in lines if line.startswith(f"{lang}:")))
    assert score_run(benchmark, by_lang).depth is None
    by_lang[lang].write_text("".join(by_lang[lang].read_text().splitlines(keepends=True)[:-1]))
    short = score_run(benchmark, by_lang)
    assert short.depth == len(benchmark.candidates.lang[benchmark.candidates.lang == 0]) - 1
    assert any("lower bounds" in note for note in short.notes)
    with pytest.raises(InputError, match="other languages"):
        score_run(benchmark, tmp_path / "multilingual.run", own_language=True)


def test_equal_scores_of_a_run_go_by_id_as_in_trec_eval(tmp_path, problem):
    benchmark = problem[0]
    run = tmp_path / "ties.run"
    # de:g0 is answered by de:0, en:0, th:0; of equal scores the larger id comes first: de:5 before de:0
    run.write_text("de:g0 Q0 de:0 1 0.5 x\nde:g0 Q0 de:5 2 0.5 x\nde:g0 Q0 th:8 3 0.1 x\n")
    found = score_run(benchmark, run)
    assert found.ties == 1
    assert per_query(found, POOL, "mrr")["de:g0"] == 1 / 2
    assert per_query(found, POOL, "mrr")["en:g1"] == 0
    assert any("nothing for 11 queries" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the run is empty"),
        ("de:g0 Q0 de:0 1 0.5\n", ":1: 5 columns; expected 6"),
        ("de:g0 Q0 de:0 1 high x\n", "'high' is not a number"),
        ("de:g9 Q0 de:0 1 1 x\n", "unknown query id 'de:g9'"),
        ("de:g0 Q0 de:99 1 1 x\n", "unknown passage id 'de:99'"),
        ("de:g0 Q0 de:0 1 1 x\nde:g0 Q0 de:0 2 0 x\n", "lists a passage twice"),
    ],
)
def test_bad_runs_are_refused(tmp_path, problem, text, message):
    (tmp_path / "bad.run").write_text(text)
    with pytest.raises(InputError, match=message):
        score_run(problem[0], tmp_path / "bad.run")


def test_scores_fall_strictly_by_the_least():
    scores = np.float32([[3, 3, 3, 1], [2, 1, 0, -1]])
    falling = strictly_falling(scores)
    assert (np.diff(falling) < 0).all()
    np.testing.assert_array_equal(falling[1], scores[1])
    np.testing.assert_allclose(falling, scores, rtol=1e-6)


def test_ids_with_white_space_are_refused(tmp_path):
    benchmark = assemble("b", [("a b", "de", "g", "?")], [("p", "de", ".")], {"g": ["p"]})
    with pytest.raises(InputError, match="white space"):
        write_trec(tmp_path, benchmark, np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))


def test_examples():
    assert doctest.testmod(trec).failed == 0


def test_the_lines_of_a_query():
    """The float32 next below 0.5 is 0.5 - 2**-25, or 0.49999997019767761."""
    scores = strictly_falling(np.float32([[0.75, 0.5, 0.5, -1]]))[0]
    assert list(run_lines("de:q", iter(["a", "b", "c", "d"]), scores, label_of(" my  run "))) == [
        "de:q Q0 a 1 0.75 my_run\n",
        "de:q Q0 b 2 0.5 my_run\n",
        "de:q Q0 c 3 0.49999997 my_run\n",
        "de:q Q0 d 4 -1 my_run\n",
    ]
    assert (label_of(""), trec_id("a:1")) == ("isoglot", "a:1")
    for wrong in ("", "a b", " a", "a\u00a0b"):
        with pytest.raises(InputError, match="holds white space, which separates the columns of TREC files"):
            list(run_lines("q", [wrong], scores[:1], "x"))
