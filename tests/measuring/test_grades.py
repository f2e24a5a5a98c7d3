"""Graded judgements and runs, against trec_eval itself (pytrec_eval) and by hand."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble
from isoglot.measuring.measures import ndcg_at
from isoglot.measuring.per_query import MONO, POOL
from isoglot.measuring.scoring import score, score_run

NAMES = {"map": "map", "ndcg_cut_10": "ndcg@10", "recall_10": "recall@10", "recip_rank": "mrr", "recall_1": "recall@1"}
DOCUMENTS = [f"d{number:02}" for number in range(24)]


def benchmark_of(qrels, documents=DOCUMENTS):
    queries = [(query, "en", query, "?") for query in qrels]
    return assemble("graded", queries, [(key, "en", ".") for key in documents], qrels, by="query")


def value(result, query, measure, setting=POOL):
    values = result.values[setting, measure]
    return values.matrix[result.groups.index(query), 0]


@st.composite
def judged_runs(draw):
    """Qrels with grades -1 to 4, and a run of the same queries and one without judgements, with ties and few lines."""
    grades = st.integers(-1, 4)  # of lower ones trec_eval itself crashes
    scores = st.sampled_from([0.0, 0.5, 0.5000000001, 1.0, 1.5, 2.0, -3.0])
    some = st.dictionaries(st.sampled_from(DOCUMENTS), grades, min_size=1)
    qrels = draw(st.dictionaries(st.sampled_from(["q1", "q2", "q3"]), some, min_size=1))
    lists = st.dictionaries(st.sampled_from(DOCUMENTS), scores, min_size=1)
    run = {query: draw(lists) for query in [*qrels, "q9"] if query == next(iter(qrels)) or draw(st.booleans())}
    return qrels, run


@given(judged_runs(), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_measures_are_those_of_trec_eval_with_grades_ties_and_missing_documents(problem, relevant_from):
    qrels, run = problem
    if not any(grade >= relevant_from for own in qrels.values() for grade in own.values()):
        return
    expected = pytrec_eval.RelevanceEvaluator(
        qrels, {"map", "ndcg_cut.10", "recall.1,10", "recip_rank"}, relevance_level=relevant_from
    ).evaluate(run)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.run"
        path.write_text("".join(f"{q} Q0 {d} 1 {s!r} x\n" for q, own in run.items() for d, s in own.items()))
        result = score_run(benchmark_of(qrels), path, relevant_from=relevant_from)
    for query in qrels:
        for theirs, ours in NAMES.items():
            # A query that the run lacks counts as 0, as with trec_eval -c.
            wanted = expected[query][theirs] if query in expected else 0.0
            assert value(result, query, ours) == pytest.approx(wanted, abs=1e-6), (query, ours)
            if any(grade >= 1 for own in qrels.values() for grade in own.values()):
                assert value(result, query, ours, MONO) == value(result, query, ours)


@given(judged_runs())
@settings(max_examples=50, deadline=None)
def test_vectors_are_scored_like_a_run_of_the_whole_pool(problem):
    qrels, _ = problem
    if not any(grade >= 1 for own in qrels.values() for grade in own.values()):
        return
    benchmark = benchmark_of(qrels)
    rng = np.random.default_rng(len(qrels))
    queries, passages = rng.standard_normal((len(qrels), 3)), rng.standard_normal((len(DOCUMENTS), 3))
    result = score(benchmark, queries.astype(np.float32), passages.astype(np.float32))
    scores = queries @ passages.T
    run = {
        query: dict(zip(DOCUMENTS, map(float, row), strict=True))
        for query, row in zip(benchmark.queries.ids, scores, strict=True)
    }
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"map", "ndcg_cut.10"}).evaluate(run)
    for query in qrels:
        for theirs in ("map", "ndcg_cut_10"):
            assert value(result, query, NAMES[theirs]) == pytest.approx(expected[query][theirs], abs=1e-6)


def test_a_graded_value_by_hand():
    gains = (1 / np.log2(2) + 3 / np.log2(3)) / (3 / np.log2(2) + 1 / np.log2(3))
    assert ndcg_at(np.array([0, 2]), np.array([1, 2]), 10, np.array([1, 3]))[0] == pytest.approx(gains)
    # the best order has the cut-off too: of grades 3, 2, 1 only 3 and 2 can be in the top 2
    assert ndcg_at(np.array([0, 3]), np.array([3, 1, 2]), 2, np.array([1, 2, 3]))[0] == pytest.approx(
        (2 + 3 / np.log2(3)) / (3 + 2 / np.log2(3))
    )


def test_grades_are_told_and_relevant_from_is_checked():
    benchmark = benchmark_of({"q1": {"d00": 1, "d01": 3, "d04": -2}, "q2": {"d02": 1}, "q3": {"d03": 0.5}})
    vectors = np.ones((3, 2), np.float32), np.ones((24, 2), np.float32)
    plain, strict = score(benchmark, *vectors), score(benchmark, *vectors, relevant_from=2)
    assert any("linear, as trec_eval" in note and "grade 1 and above" in note for note in plain.notes)
    assert "1 judged query has no relevant passage: counted as 0, as in trec_eval" in plain.notes
    assert "2 judged queries have no passage of grade 2 or above: counted as 0, as in trec_eval" in strict.notes
    assert (value(plain, "q2", "map"), value(strict, "q2", "map")) == (1 / 3, 0)
    assert value(plain, "q2", "ndcg@10") == value(strict, "q2", "ndcg@10") > 0
    binary = score(benchmark_of({"q1": {"d00": 1}}), vectors[0][:1], vectors[1])
    assert not any("grade" in note for note in binary.notes)
    for bound, message in ((0, "expected 1 or more"), (4, "the highest is 3")):
        with pytest.raises(InputError, match=message):
            score(benchmark, *vectors, relevant_from=bound)


def test_unjudged_queries_of_a_run_are_left_out_and_counted(tmp_path):
    run = tmp_path / "a.run"
    run.write_text("q1 Q0 d00 1 2 s\nq1 Q0 d01 2 1 s\nq7 Q0 d02 1 2 s\nq8 Q0 d02 1 2 s\n")
    result = score_run(benchmark_of({"q1": {"d00": 1}}), run)
    assert result.macro(POOL, "map") == 1
    assert any(note.startswith("2 queries of the run have no judgements here (such as 'q7')") for note in result.notes)
    run.write_text("q7 Q0 d00 1 2 s\n")
    with pytest.raises(InputError, match="unknown query id 'q7', like all others"):
        score_run(benchmark_of({"q1": {"d00": 1}}), run)


def test_ids_without_their_language_in_runs_by_language(tmp_path):
    """MIRACL's ids repeat between languages; its runs name them as they are."""
    queries = [(f"{lang}:{n}", lang, f"{lang}:{n}", "?") for lang in ("sw", "yo") for n in range(2)]
    passages = [(f"{lang}:{n}#0", lang, ".") for lang in ("sw", "yo") for n in range(3)]
    answers = {f"{lang}:{n}": {f"{lang}:{n}#0": 1} for lang in ("sw", "yo") for n in range(2)}
    both = assemble("miracl", queries, passages, answers, by="query")
    for lang in ("sw", "yo"):
        (tmp_path / lang).write_text("0 Q0 0#0 1 2 x\n0 Q0 9#9 2 1 x\n1 Q0 0#0 1 2 x\n1 Q0 1#0 2 1 x\n")
    result = score_run(both, {lang: tmp_path / lang for lang in ("sw", "yo")})
    assert result.macro(MONO, "map") == (1 + 1 / 2) / 2
    assert {setting for setting, _ in result.values} == {MONO}
    assert any("2 lines of the run name passages that are not in the pool" in note for note in result.notes)
    one = assemble("miracl", queries[2:], passages[3:], {k: v for k, v in answers.items() if k[0] == "y"}, by="query")
    assert score_run(one, tmp_path / "yo").macro(POOL, "map") == (1 + 1 / 2) / 2
    with pytest.raises(InputError, match="unknown query id '0'"):
        score_run(both, tmp_path / "yo")  # of which language is not said
    with pytest.raises(InputError, match="is given for de, in which miracl has no queries; there are: sw, yo"):
        score_run(both, {"de": tmp_path / "yo"})
