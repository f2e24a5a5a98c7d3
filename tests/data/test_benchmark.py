import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.data.benchmarks.benchmark import assemble, from_rows
from isoglot.data.benchmarks.overlap import overlap, refuse_overlap
from isoglot.data.near_duplicates import normalise
from isoglot.data.prepared import prepare
from support.rows import parallel_rows, write_jsonl


def benchmark_of(path, rows, name="rows"):
    return from_rows(prepare([write_jsonl(path / "b.jsonl", rows)], path / "b", show_progress=False), name)


def test_assemble_sorts_by_language_and_keeps_ids_apart():
    benchmark = assemble(
        "set",
        [("1", "en", "g2", "what?"), ("2", "de", "g1", "was?"), ("3", "de", "g2", "wer?")],
        [("a", "en", "same"), ("b", "de", "same"), ("c", "en", "same")],
        {"g2": ["c", "b", "c"], "g1": ["b"]},
        ("note",),
    )
    assert benchmark.languages == ("de", "en")
    assert benchmark.queries.ids == ["2", "3", "1"]
    assert benchmark.queries.lang.tolist() == [0, 0, 1]
    assert benchmark.candidates.ids == ["b", "a", "c"]
    assert [benchmark.relevant(q).tolist() for q in range(3)] == [[0], [0, 2], [0, 2]]
    assert [benchmark.groups[number] for number in benchmark.group] == ["g1", "g2", "g2"]


def test_a_benchmark_equals_itself_and_its_checksum_tells_the_content():
    first, second, other = (
        assemble("set", [("1", "de", "g", query)], [("a", "de", "x")], {"g": ["a"]})
        for query in ("was?", "was?", "wer?")
    )
    assert first == first
    assert first != second
    assert first.queries != second.queries
    assert len({first, second, first}) == 2
    assert first.checksum == second.checksum != other.checksum


def test_grades_stand_beside_the_golds_they_grade():
    benchmark = assemble(
        "set",
        [("1", "de", "g", "q"), ("2", "en", "g", "q")],
        [("a", "de", "x"), ("b", "en", "y"), ("c", "en", "z")],
        {"1": {"c": 2, "a": 3, "b": 0}, "2": {"b": -1}},
        by="query",
    )
    assert benchmark.gold_offsets.tolist() == [0, 2, 2]
    assert (benchmark.gold.tolist(), benchmark.grades.tolist()) == ([0, 2], [3, 2])
    # What was judged not relevant need not be in the corpus.
    assemble("set", [("1", "de", "g", "q")], [("a", "de", "x")], {"1": {"a": 1, "gone": 0}}, by="query")


@pytest.mark.parametrize(
    ("queries", "candidates", "words"),
    [
        ([], [("a", "de", "x")], "0 queries and 1 candidates"),
        ([("1", "de", "g", "q")], [], "1 queries and 0 candidates"),
        ([("1", "de", "g", "q")], [("a", "en", "x")], "queries but no candidates in de"),
        ([("1", "de", "g", "q")], [("a", "de", "x"), ("a", "de", "y")], "candidate ids repeat"),
    ],
)
def test_what_cannot_be_a_benchmark(queries, candidates, words):
    with pytest.raises(InputError, match=words):
        assemble("set", queries, candidates, {})


def test_rows_as_a_benchmark(tmp_path):
    rows = [
        {"group": "a", "lang": "de", "query": "q1", "passage": "p"},
        {"group": "b", "lang": "de", "query": "q2", "passage": "p"},
        {"group": "b", "lang": "en", "query": "q3", "passage": "p"},
        {"group": "c", "lang": "en", "query": "q4", "passage": "other"},
    ]
    benchmark = benchmark_of(tmp_path, rows, "mine")
    # (de, p), (en, p), (en, other): equal texts of two languages are two candidates, of one language one.
    assert list(zip(benchmark.candidates.lang.tolist(), benchmark.candidates.texts, strict=True)) == [
        (0, "p"),
        (1, "p"),
        (1, "other"),
    ]
    assert benchmark.queries.texts == ["q1", "q2", "q3", "q4"]
    # a and b share their German passage: they are one component, so both languages answer both.
    assert [benchmark.relevant(q).tolist() for q in range(4)] == [[0, 1], [0, 1], [0, 1], [2]]
    assert benchmark.name == "mine"


def test_all_passages_of_a_query_answer_it(tmp_path):
    row = {"group": "a", "lang": "de", "query": "q", "passage": "one"}
    rows = [row, {**row, "passage": "two"}, {**row, "group": "a#1", "query": "r", "passage": "three"}]
    benchmark = benchmark_of(tmp_path, rows)
    assert benchmark.queries.texts == ["q", "r"]
    assert benchmark.candidates.texts == ["one", "two", "three"]
    assert [benchmark.relevant(q).tolist() for q in range(2)] == [[0, 1], [2]]
    assert len(set(benchmark.candidates.ids)) == 3


def test_bitext_as_a_benchmark_says_what_its_figures_are_worth(tmp_path):
    rows = [{**row, "query": row["passage"], "kind": "bitext"} for row in parallel_rows(3, ("de", "en"), "memory")]
    path = write_jsonl(tmp_path / "rows.jsonl", rows + parallel_rows(3, ("de", "en")))
    (note,) = from_rows(prepare([path], tmp_path / "rows", show_progress=False)).notes
    assert note.startswith("memory is bitext, where a text is its own query")


def test_relevant_are_the_rows_of_the_same_component(rows_file, tmp_path):
    rows = prepare([rows_file], tmp_path / "rows", show_progress=False)
    benchmark = from_rows(rows)
    langs, passages = np.asarray(rows.table.lang), rows.passages()
    names = [f"{d}/{g}" for d, g in zip(rows.column("dataset"), rows.column("group"), strict=True)]
    distinct = set(zip(langs.tolist(), passages, strict=True))
    assert len(benchmark.queries) == 137
    assert set(zip(benchmark.candidates.lang.tolist(), benchmark.candidates.texts, strict=True)) == distinct
    assert len(benchmark.candidates) == len(distinct) == 136
    expected = {}
    for row, component in enumerate(rows.table.component.tolist()):
        expected.setdefault(component, set()).add((int(langs[row]), passages[row]))
    component_of = dict(zip(names, rows.table.component.tolist(), strict=True))
    for query in range(len(benchmark.queries)):
        found = {
            (int(benchmark.candidates.lang[at]), benchmark.candidates.texts[at]) for at in benchmark.relevant(query)
        }
        assert found == expected[component_of[benchmark.groups[benchmark.group[query]]]]


def test_checksum(tmp_path):
    rows = parallel_rows(3)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.mkdir()
    first, again = benchmark_of(paths[0], rows), benchmark_of(paths[1], rows)
    rows[0]["passage"] += "!"
    assert first.checksum == again.checksum != benchmark_of(paths[2], rows).checksum


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ｗer  WAR\tdas?", "wer war das?"),
        ("STRASSE", "straße"),
        ("e\u0301te\u0301", "été"),
        ("ﬁn", "fin"),
        ("①", "1"),
        ("a\u00a0b\n", "a b"),
    ],
)
def test_what_counts_as_the_same_text(one, other):
    assert normalise(one) == normalise(other)
    assert normalise(normalise(one)) == normalise(one)


def test_different_texts_stay_different():
    assert normalise("Mauer 1") != normalise("Mauer 2")
    assert normalise("ā") != normalise("a")


def test_overlap_counts_groups_queries_and_passages(tmp_path):
    train = prepare([write_jsonl(tmp_path / "t.jsonl", parallel_rows(8))], tmp_path / "t", show_progress=False)
    apart = parallel_rows(4, dataset="test", first=50)
    assert not overlap(train, benchmark_of(tmp_path, apart))
    apart[0]["query"] = train.column("query")[0].upper()
    apart[1]["passage"] = "  " + train.column("passage")[1]
    apart[2]["group"] = "wiki-7"
    found = overlap(train, benchmark_of(tmp_path, apart))
    assert (found.groups, found.queries, found.passages) == (1, 1, 1)
    with pytest.raises(InputError) as caught:
        refuse_overlap(found, "mine")
    message = str(caught.value)
    for words in ("1 groups, 1 queries, 1 passages", "group 'wiki-7'", "WIE HOCH", "mine", "`allow_overlap`"):
        assert words in message


def test_overlap_knows_groups_by_data_set_too(tmp_path):
    rows = parallel_rows(4) + parallel_rows(4, dataset="web")
    train = prepare([write_jsonl(tmp_path / "t.jsonl", rows)], tmp_path / "t", show_progress=False)
    found = overlap(train, from_rows(train))
    assert (found.groups, found.queries, found.passages) == (8, 16, 16)
    assert len(found.examples) == 9


def test_titles_do_not_hide_a_passage(tmp_path):
    row = {"group": "x", "lang": "de", "query": "Frage", "passage": "Der Satz.", "title": "Titel"}
    train = prepare([write_jsonl(tmp_path / "t.jsonl", [row])], tmp_path / "t", show_progress=False)
    for passage in ("Der Satz.", "Titel Der Satz."):
        test = {"group": "y", "lang": "de", "query": "Andere", "passage": passage}
        assert overlap(train, benchmark_of(tmp_path, [test])).passages == 1
