import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.cli import run
from isoglot.curation.filtering import filter_rows, own_ranks, repeats
from isoglot.curation.rewriting import rows_of
from isoglot.data.near_duplicates import jaccard
from isoglot.data.prepared import prepare
from support.rows import write_jsonl

WORDS = ["harbour", "turbine", "orchard", "glacier", "lantern", "sparrow", "quarry", "violin"]


def embed(texts, role):
    """Bags of the words above."""
    vectors = np.array([[text.lower().count(word) for word in WORDS] for text in texts], dtype=np.float32)
    return vectors + 1e-3


def rows(tmp_path, records):
    return prepare([write_jsonl(tmp_path / "rows.jsonl", records)], tmp_path / "rows")


def records():
    passages = [f"All about the {word} and nothing else, told by number {n}." for n, word in enumerate(WORDS)]
    found = [{"group": word, "lang": "en", "query": f"Where is a {word}?", "passage": passage}
             for word, passage in zip(WORDS, passages, strict=True)]  # fmt: skip
    lost = {"group": "lost", "lang": "en", "query": "Why violin violin?", "passage": "All about the sparrow alone."}
    quoting = {"group": "quote", "lang": "en", "query": passages[0], "passage": passages[0]}
    quoting["passage"] += " And more."
    again = {"group": "again", "lang": "en", "query": "Where is a HARBOUR", "passage": "Closed on Mondays."}
    german = {"group": "harbour", "lang": "de", "query": "harbour?", "passage": "Der harbour, ein Hafen."}
    bitext = {"group": "b", "lang": "en", "query": "Yes violin.", "passage": "Yes violin.", "dataset": "memory",
              "kind": "bitext"}  # fmt: skip
    return [*found, lost, quoting, again, german, bitext]


def test_rows_go_for_a_reason(tmp_path):
    found = filter_rows(embed, rows(tmp_path, records()), top=2)
    gone = {number: reason for number, reason in enumerate(found.reasons) if reason}
    assert gone == {
        8: "its passage is not among the top 2",
        9: "quotes its passage",
        10: "nearly repeats another question",
    }
    assert found.ranks[8] == 4  # violin, bitext, and the passage that says nothing: a little of every word
    assert filter_rows(embed, rows(tmp_path, records()), top=20).counts.total() == 2


def test_a_short_answer_that_stands_in_its_question_is_not_quoted(tmp_path):
    question = {
        "group": "1",
        "lang": "en",
        "query": "Is the harbour older than the lighthouse?",
        "passage": "The harbour",
    }
    assert filter_rows(embed, rows(tmp_path, [question]), top=20).reasons == [None]


def test_a_questions_further_passages_do_not_repeat_it(tmp_path):
    given = records()
    again = given[10]
    more = [{**record, "passage": f"Once more: {record['passage']}"} for record in (given[0], again)]
    found = filter_rows(embed, rows(tmp_path, [*given[:3], again, *more]), top=20)
    repeat = "nearly repeats another question"
    assert found.reasons == [None, None, None, repeat, None, repeat]


def test_scores_come_out_as_they_went_in(tmp_path):
    record = {"group": "a", "lang": "en", "query": "q", "passage": "p", "negatives": ["n", "m"]}
    (row,) = rows_of(rows(tmp_path, [{**record, "scores": [0.9, -11.25, 1e-7]}]))
    assert row.scores == (0.9, -11.25, 1e-7)


def test_a_cross_encoder_may_judge(tmp_path):
    class Judge:
        def predict(self, pairs, **_):
            return [float("sparrow" in passage) for _, passage in pairs]

    found = filter_rows(embed, rows(tmp_path, records()), top=1, cross_encoder=Judge())
    assert found.reasons[8] is None
    assert found.reasons[0] == "its passage is not among the top 1"


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10**6))
def test_ranks_by_hand(tmp_path_factory, count, seed):
    rng = np.random.default_rng(seed)
    own = [
        {"group": str(n // 2), "lang": "ab"[n % 2] + "r", "query": f"q{n}", "passage": f"p{n}"} for n in range(count)
    ]
    prepared = rows(tmp_path_factory.mktemp("ranks"), [{**row, "lang": row["lang"].replace("ar", "de")} for row in own])
    queries, passages = rng.normal(size=(2, count, 5)).astype(np.float32)
    groups = [int(row["group"]) for row in own]
    expected = [
        1 + sum(groups[m] != groups[n] and float(queries[n] @ passages[m]) > float(queries[n] @ passages[n])
                for m in range(count))
        for n in range(count)
    ]  # fmt: skip
    assert own_ranks(queries, passages, prepared).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text("abcd ", min_size=1, max_size=24), st.integers(0, 1)), max_size=14))
def test_repeats_are_those_of_comparing_all(entries):
    texts, langs = [text for text, _ in entries], [lang for _, lang in entries]
    expected = []
    for number, text in enumerate(texts):
        first = (
            other
            for other in range(number)
            if expected[other] is None and langs[other] == langs[number] and jaccard(text, texts[other]) >= 0.8
        )
        expected.append(next(first, None))
    assert repeats(texts, langs, [False] * len(texts)) == expected


def test_the_command(tmp_path, monkeypatch, capsys):
    import isoglot.cli.generating as verb

    monkeypatch.setattr(verb, "open_encoder", lambda *_: embed)
    monkeypatch.setattr(verb, "Reporting", lambda embedder: embedder)
    source, target = write_jsonl(tmp_path / "in.jsonl", records()), tmp_path / "kept.jsonl"
    argv = ["data", "filter", str(source), "--top", "2", "-o", str(target)]
    assert run([*argv, "--dry-run"]) == 0
    assert "10 rows would be kept of 13" in capsys.readouterr().out
    assert not target.exists()
    assert run(argv) == 0
    assert len(target.read_text(encoding="utf-8").splitlines()) == 10
    gone = [json.loads(line) for line in (tmp_path / "kept.rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {entry["group"]: entry["reason"] for entry in gone}["quote"] == "quotes its passage"
    assert run([*argv, "--top", "0", "--overwrite"]) == 2
    assert run(argv) == 2
    # Killed in place: the rows that it drops are in a file before they are gone.
    monkeypatch.setattr("isoglot.data.rows.write_rows", raise_interrupt)
    assert run([*argv[:-1], str(source), "--overwrite"]) == 130
    assert len(source.read_text(encoding="utf-8").splitlines()) == 13
    assert len((tmp_path / "in.rejects.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def raise_interrupt(*_):
    raise KeyboardInterrupt
