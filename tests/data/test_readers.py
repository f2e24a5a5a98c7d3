import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot.cli import run
from isoglot.data.readers.mmarco import mmarco_rows
from isoglot.data.rows import read_rows


def lines(path, *records):
    text = "".join(
        (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)) + "\n" for record in records
    )
    path.write_text(text, encoding="utf-8")
    return path


def converted(arguments, target):
    assert run(["data", *map(str, arguments), "-o", str(target), "--overwrite"]) == 0
    return [row for _, _, row in read_rows([target])]


def refused(arguments, target, capsys):
    assert run(["data", *map(str, arguments), "-o", str(target)]) == 2
    assert not target.exists()
    return capsys.readouterr().err


# Sentence Transformers


def test_parallel_pairs_line_by_line_in_every_format(tmp_path):
    lines(tmp_path / "de.tsv", "anchor\tpositive\tnegative", 'was?\t"das" da\tnicht das', "wer?\tder\tdie")
    lines(tmp_path / "en.csv", "anchor,positive,negative", 'what?,"that, there",not that', "who?,he,she")
    # A CSV's header is its line 1, so JSONL that runs parallel to one begins at line 2.
    lines(tmp_path / "es.jsonl", "", {"anchor": "¿qué?", "positive": "eso"}, {"anchor": "¿quién?", "positive": "él"})
    target = tmp_path / "rows.jsonl"
    files = [f"{path.stem}={path}" for path in sorted(tmp_path.iterdir())]
    rows = converted(["from-pairs", *files, "--dataset", "d"], target)
    assert [(row.group, row.lang, row.query, row.passage, row.negatives) for row in rows] == [
        ("2", "de", "was?", '"das" da', ("nicht das",)),
        ("3", "de", "wer?", "der", ("die",)),
        ("2", "en", "what?", "that, there", ("not that",)),
        ("3", "en", "who?", "he", ("she",)),
        ("2", "es", "¿qué?", "eso", ()),
        ("3", "es", "¿quién?", "él", ()),
    ]
    assert {row.dataset for row in rows} == {"d"}


def test_columns_by_position_by_name_and_numbered(tmp_path):
    target = tmp_path / "rows.jsonl"
    source = lines(tmp_path / "a.jsonl", {"id": "7", "x": "q", "y": "p", "z": "n", "score": 1.0})
    (row,) = converted(["from-pairs", f"en={source}"], target)
    assert (row.query, row.passage, row.negatives) == ("q", "p", ("n",))
    (row,) = converted(["from-pairs", f"en={source}", "--query-column", "y", "--passage-column", "z"], target)
    assert (row.query, row.passage, row.negatives) == ("p", "n", ())
    bare = lines(tmp_path / "b.tsv", "q1\tp1\tn1")
    (row,) = converted(["from-pairs", f"en={bare}", "--no-header"], target)
    assert (row.group, row.query, row.passage, row.negatives) == ("1", "q1", "p1", ("n1",))


def test_parquet_with_languages_groups_and_many_negatives(tmp_path):
    table = {
        "query": ["q", "r"],
        "answer": ["p", "s"],
        "negative_1": ["a", "b"],
        "negative_2": ["c", None],
        "code": ["de", "en"],
        "key": [5, 5],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    arguments = ["from-pairs", tmp_path / "a.parquet", "--lang-column", "code", "--group-column", "key"]
    rows = converted(arguments, tmp_path / "rows.jsonl")
    assert [(row.group, row.lang, row.negatives) for row in rows] == [("5", "de", ("a", "c")), ("5", "en", ("b",))]
    rows = converted([*arguments, "--negatives", "1"], tmp_path / "rows.jsonl")
    assert [row.negatives for row in rows] == [("a",), ("b",)]


def test_files_that_are_no_translations(tmp_path, capsys):
    one = lines(tmp_path / "de.jsonl", *({"query": f"q{n}", "positive": "p"} for n in range(3)))
    two = lines(tmp_path / "en.jsonl", {"query": "q", "positive": "p"})
    said = refused(["from-pairs", f"de={one}", f"en={two}"], tmp_path / "rows.jsonl", capsys)
    assert "--unaligned" in said
    rows = converted(["from-pairs", f"de={one}", f"en={two}", "--unaligned"], tmp_path / "rows.jsonl")
    assert len({row.group for row in rows}) == 4


@pytest.mark.parametrize(("given", "flags"), [("de=", ["--unaligned"]), ("", ["--lang-column", "lang"])])
def test_files_of_one_name_share_no_groups(tmp_path, given, flags):
    for lang in ("de", "en"):
        (tmp_path / lang).mkdir()
        lines(tmp_path / lang / "train.jsonl", {"query": f"{lang}?", "positive": lang, "lang": lang})
    files = [f"{given.replace('de', lang)}{tmp_path / lang / 'train.jsonl'}" for lang in ("de", "en")]
    rows = converted(["from-pairs", *files, *flags], tmp_path / "rows.jsonl")
    assert [row.lang for row in rows] == ["de", "en"]
    assert len({row.group for row in rows}) == 2


def test_line_breaks_within_cells_move_no_row_to_another_group(tmp_path):
    """Both files end at line 5: by their physical lines the first German row would meet the second English one."""
    lines(tmp_path / "de.csv", "query,positive", '"Was\nist das?",Eins', "Wer?,Zwei", "Wo?,Drei")
    lines(tmp_path / "en.csv", "query,positive", "What?,One", "Who?,Two", '"Where\r\nis it?",Three')
    files = [f"{lang}={tmp_path / f'{lang}.csv'}" for lang in ("de", "en")]
    groups = {}
    for row in converted(["from-pairs", *files], tmp_path / "rows.jsonl"):
        groups.setdefault(row.group, []).append(row.passage)
    assert groups == {"2": ["Eins", "One"], "3": ["Zwei", "Two"], "4": ["Drei", "Three"]}


def test_empty_rows_of_a_table_keep_their_place(tmp_path):
    lines(tmp_path / "de.csv", "query,positive", ",", '"Was\nist das?",Zwei')
    lines(tmp_path / "en.csv", "query,positive", "What?,One", "Who?,Two")
    files = [f"{lang}={tmp_path / f'{lang}.csv'}" for lang in ("de", "en")]
    rows = converted(["from-pairs", *files], tmp_path / "rows.jsonl")
    assert [(row.group, row.passage) for row in rows] == [("3", "Zwei"), ("2", "One"), ("3", "Two")]


def test_groups_are_named_by_all_records_or_by_none(tmp_path, capsys):
    record = {"query": "q", "positive": "p"}
    source = lines(tmp_path / "de.jsonl", {**record, "key": "2"}, {**record, "key": None})
    said = refused(["from-pairs", f"de={source}", "--group-column", "key"], tmp_path / "rows.jsonl", capsys)
    assert f"{source}:2: field 'key' names the group, but is empty" in said
    record = {"query": "q", "pos": ["p"], "neg": []}
    source = lines(tmp_path / "en.jsonl", {**record, "id": "2"}, record)
    said = refused(["from-flagembedding", f"en={source}"], tmp_path / "rows.jsonl", capsys)
    assert f"{source}:2: a record with no id where earlier ones have one" in said


def test_two_aligned_files_of_one_language_are_refused(tmp_path, capsys):
    files = [lines(tmp_path / f"{name}.jsonl", {"query": name, "positive": name}) for name in "ab"]
    arguments = ["from-pairs", f"de={files[0]}", f"de_DE={files[1]}"]
    assert "several files of de" in refused(arguments, tmp_path / "rows.jsonl", capsys)
    assert len(converted([*arguments, "--unaligned"], tmp_path / "rows.jsonl")) == 2


@pytest.mark.parametrize("column", ["label", "Score"])
def test_pairs_that_are_no_match_are_left_out_by_their_label(tmp_path, capsys, column):
    source = lines(tmp_path / "a.csv", f"sentence1,sentence2,{column}", "q1,p1,1", "q2,p2,0", "q3,p3,1.0")
    target = tmp_path / "rows.jsonl"
    error = refused(["from-pairs", f"en={source}"], target, capsys)
    assert "a.csv:3: label '0', where earlier pairs have '1'" in error
    assert "--relevant-from" in error
    rows = converted(["from-pairs", f"en={source}", "--relevant-from", "1"], target)
    assert [(row.group, row.query, row.passage) for row in rows] == [("2", "q1", "p1"), ("4", "q3", "p3")]
    assert "1 pairs with a label below 1 left out" in capsys.readouterr().out
    same = lines(tmp_path / "c.csv", f"sentence1,sentence2,{column}", "q1,p1,1", "q2,p2,1.0")
    assert len(converted(["from-pairs", f"en={same}"], target)) == 2
    words = lines(tmp_path / "b.csv", f"sentence1,sentence2,{column}", "q1,p1,entailment")
    assert len(converted(["from-pairs", f"en={words}"], target)) == 1
    target.unlink()
    assert "b.csv:2: label 'entailment' is no number" in refused(
        ["from-pairs", f"en={words}", "--relevant-from", "1"], target, capsys
    )


def test_a_teachers_list_of_scores_stays_with_its_negatives(tmp_path, capsys):
    records = [
        {"query": "q1", "positive": "p", "negative_1": "a", "negative_2": "b", "label": [9.5, 1, 2.5]},
        {"query": "q2", "positive": "p", "negative_1": "a", "negative_2": None, "label": [9.5, 1, 2.5]},
        {"query": "q3", "positive": "p", "negative_1": "a", "negative_2": "b"},
    ]
    source = lines(tmp_path / "a.jsonl", *records)
    rows = converted(["from-pairs", f"en={source}", "--negatives", "1"], tmp_path / "rows.jsonl")
    assert [(row.negatives, row.scores) for row in rows] == [(("a",), (9.5, 1.0)), (("a",), ()), (("a",), ())]
    assert "1 labels or scores that are not one for each passage: left out" in capsys.readouterr().out


def test_scores_beside_negatives_are_no_labels(tmp_path):
    triplets = ({"query": f"q{n}", "positive": f"p{n}", "negative": "n", "label": n / 2} for n in range(3))
    margins = ({"query": f"q{n}", "positive": f"p{n}", "label": [n, 1]} for n in range(3, 6))
    source = lines(tmp_path / "a.jsonl", *triplets, *margins)
    assert len(converted(["from-pairs", f"en={source}"], tmp_path / "rows.jsonl")) == 6


def test_two_columns_of_one_name_are_told(tmp_path, capsys):
    source = lines(tmp_path / "a.csv", "query,positive,positive", "q,p,r")
    (row,) = converted(["from-pairs", f"de={source}"], tmp_path / "rows.jsonl")
    assert row.passage == "r"
    assert f"{source}:1: two columns are called 'positive'; only the last of them is read" in capsys.readouterr().out


def test_endings_in_capitals(tmp_path):
    (tmp_path / "A.CSV.GZ").write_bytes(gzip.compress(b"query,positive\nq,p\n"))
    assert len(converted(["from-pairs", f"de={tmp_path / 'A.CSV.GZ'}"], tmp_path / "rows.jsonl")) == 1


def test_pairs_errors_are_gathered_with_their_lines(tmp_path, capsys):
    source = lines(tmp_path / "de.jsonl", {"query": "q"}, "{", {"query": "", "positive": "p"}, ["q", "p"])
    said = refused(["from-pairs", f"de={source}"], tmp_path / "rows.jsonl", capsys)
    assert "4 problems" in said
    for number in (1, 2, 3, 4):
        assert f"{source}:{number}: " in said
    short = lines(tmp_path / "de.csv", "query,positive", "only one", "a,b,c")
    said = refused(["from-pairs", f"de={short}"], tmp_path / "rows.jsonl", capsys)
    assert f"{short}:2: 1 columns; the first line has 2" in said
    assert f"{short}:3: 3 columns" in said
    assert "de=" in refused(["from-pairs", str(short)], tmp_path / "rows.jsonl", capsys)
    assert "no such file" in refused(["from-pairs", "de=nowhere.csv"], tmp_path / "rows.jsonl", capsys)
    empty = lines(tmp_path / "empty.jsonl")
    assert "no records" in refused(["from-pairs", f"de={empty}"], tmp_path / "rows.jsonl", capsys)
    (tmp_path / "latin.jsonl").write_bytes('{"query": "wär", "positive": "ü"}'.encode("latin-1"))
    said = refused(["from-pairs", f"de={tmp_path / 'latin.jsonl'}"], tmp_path / "rows.jsonl", capsys)
    assert "latin.jsonl:1: not UTF-8 (byte 12: invalid continuation byte); convert the file: iconv -f " in said


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("a.csv", "Query;Positive\nWas ist Größe?;Größe ist, was übrig bleibt; sie überrascht.\n", "cp1252"),
        ("a.csv", "Query;Positive;Kommentar\nWas ist Größe?;Größe ist, was übrig bleibt; sie überrascht.\n", "utf-8"),
        ("a.csv", "sep=;\nquery;positive\nWas ist Größe?;Größe ist, was übrig bleibt; sie überrascht.\n", "utf-8"),
        ("a.tsv", "\tquery\tpositive\nx\tWas ist Größe?\tGröße ist, was übrig bleibt; sie überrascht.\n", "utf-16"),
        (
            "a.jsonl",
            '{"query": "Was ist Größe?", "positive": "Größe ist, was übrig bleibt; sie überrascht."}\n',
            "utf-16",
        ),
    ],
)
def test_tables_as_spreadsheets_write_them(tmp_path, capsys, name, text, encoding):
    answer = "Größe ist, was übrig bleibt; sie überrascht."
    head, *rest = text.replace(answer, f'"{answer}"' if name == "a.csv" else answer).split("\n")
    rest = [f"{line};so" if "Kommentar" in head and line else line for line in rest]
    (tmp_path / name).write_bytes("\n".join([head, *rest]).encode(encoding))
    (row,) = converted(["from-pairs", f"de={tmp_path / name}"], tmp_path / "rows.jsonl")
    assert (row.query, row.passage, row.negatives) == ("Was ist Größe?", answer, ())
    assert ("read as cp1252, which is a guess" in capsys.readouterr().out) == (encoding == "cp1252")


def test_a_table_without_names_is_parted_by_commas(tmp_path):
    source = lines(tmp_path / "a.csv", "a; b; c?,d")
    (row,) = converted(["from-pairs", f"de={source}", "--no-header"], tmp_path / "rows.jsonl")
    assert (row.query, row.passage) == ("a; b; c?", "d")


# Tevatron and FlagEmbedding


def test_tevatron(tmp_path, capsys):
    record = {
        "query_id": 12,
        "query": "wer?",
        "positive_passages": [{"docid": "1", "title": "T", "text": "p"}, {"docid": "2", "text": "p2"}],
        "negative_passages": [{"docid": "3", "title": "N", "text": "n"}, {"docid": "4", "title": "", "text": "m"}],
    }
    source = lines(tmp_path / "de.jsonl", record)
    rows = converted(["from-tevatron", f"de={source}"], tmp_path / "rows.jsonl")
    assert [(row.group, row.lang, row.title, row.passage_text) for row in rows] == [
        ("12", "de", "T", "T p"),
        ("12", "de", None, "p2"),
    ]
    assert {row.negatives for row in rows} == {("N n", "m")}
    assert {row.dataset for row in rows} == {"tevatron"}
    assert "left out" not in capsys.readouterr().out
    bad = lines(tmp_path / "bad.jsonl", {**record, "positive_passages": []}, {"query": "q"})
    said = refused(["from-tevatron", f"de={bad}"], tmp_path / "none.jsonl", capsys)
    assert f"{bad}:1: field 'passages' is not a list of one or more" in said
    assert f"{bad}:2: no field 'positive_passages'" in said


def test_flagembedding(tmp_path, capsys):
    first = {"query": "q", "pos": ["p"], "neg": ["a", "b"], "pos_scores": [9.0], "neg_scores": [2.0, 1.0]}
    second = {"query": "r", "pos": ["s", "t"], "neg": ["c"]}
    de, en = (lines(tmp_path / f"{lang}.jsonl", first, second) for lang in ("de", "en"))
    rows = converted(["from-flagembedding", f"de={de}", f"en={en}"], tmp_path / "rows.jsonl")
    assert [(row.group, row.lang, row.passage) for row in rows] == [
        (group, lang, text) for lang in ("de", "en") for group, text in (("1", "p"), ("2", "s"), ("2", "t"))
    ]
    assert rows[0].scores == (9.0, 2.0, 1.0)
    assert rows[1].scores == ()
    assert "left out" not in capsys.readouterr().out
    rows = converted(["from-flagembedding", f"de={de}", "--negatives", "1"], tmp_path / "rows.jsonl")
    assert (rows[0].negatives, rows[0].scores) == (("a",), (9.0, 2.0))


def test_a_text_where_flagembedding_wants_a_list_is_a_list_of_one(tmp_path):
    source = lines(tmp_path / "de.jsonl", {"query": "Was ist Tee?", "pos": "Tee ist ein Getränk.", "neg": "Kaffee."})
    (row,) = converted(["from-flagembedding", f"de={source}"], tmp_path / "rows.jsonl")
    assert (row.passage, row.negatives) == ("Tee ist ein Getränk.", ("Kaffee.",))


def test_what_a_query_has_twice_is_counted_and_scores_follow(tmp_path, capsys):
    record = {
        "query": "q",
        "pos": ["p", "s", "p"],
        "neg": ["a", "s", "b"],
        "pos_scores": [9, 8, 9],
        "neg_scores": [3, 8, 2],
    }
    source = lines(tmp_path / "de.jsonl", record)
    rows = converted(["from-flagembedding", f"de={source}"], tmp_path / "rows.jsonl")
    assert [(row.passage, row.negatives, row.scores) for row in rows] == [
        ("p", ("a", "b"), (9, 3, 2)),
        ("s", ("a", "b"), (8, 3, 2)),
    ]
    said = capsys.readouterr().out
    assert "1 repeated passages of a query left out" in said
    assert "1 negatives that are a passage of the query left out" in said
    bad = lines(tmp_path / "bad.jsonl", {"query": "q", "pos": [1], "neg": []}, {"query": "q", "pos": {"a": 1}})
    said = refused(["from-flagembedding", f"de={bad}"], tmp_path / "none.jsonl", capsys)
    assert f"{bad}:1: field 'passage' is not a text" in said
    assert f"{bad}:2: field 'passages' is not a list" in said
    bad = lines(tmp_path / "bad.jsonl", {"query": "q", "pos": ["p"], "neg": 5})
    said = refused(["from-flagembedding", f"de={bad}", "--negatives", "1"], tmp_path / "none.jsonl", capsys)
    assert f"{bad}:1: field 'negatives' is not a list of texts" in said


# mMARCO


@pytest.fixture
def mmarco(tmp_path):
    folder = tmp_path / "mmarco"
    folder.mkdir()
    for lang in ("de", "en"):
        lines(folder / f"queries.{lang}.tsv", *(f"{n}\t{lang} query {n}" for n in (7, 8, 9)))
        lines(folder / f"collection.{lang}.tsv", *(f'{n}\t{lang} "passage" {n}' for n in range(6)))
    return folder


def test_mmarco_triples(mmarco, tmp_path, capsys):
    lines(mmarco / "triples.train.tsv", "7\t0\t3", "8\t1\t4", "7\t0\t5", "7\t2\t4", "9\t77\t3")
    rows = converted(["from-mmarco", mmarco], tmp_path / "rows.jsonl")
    assert [(row.group, row.lang, row.passage, row.negatives) for row in rows] == [
        (group, lang, f'{lang} "passage" {passage}', (f'{lang} "passage" {negative}',))
        for lang in ("de", "en")
        for group, passage, negative in (("7", 0, 3), ("7", 2, 3), ("8", 1, 4))
    ]
    said = capsys.readouterr().out
    assert "2 rows whose query or passage is missing in a language" in said
    assert list(mmarco_rows(mmarco, langs=["de"])) == [row for row in rows if row.lang == "de"]
    rows = converted(
        ["from-mmarco", mmarco, "--negatives", "5", "--max-groups", "1", "--langs", "en"], tmp_path / "o.jsonl"
    )
    assert [(row.group, row.passage) for row in rows] == [("7", 'en "passage" 0'), ("7", 'en "passage" 2')]
    assert {row.negatives for row in rows} == {('en "passage" 3', 'en "passage" 5', 'en "passage" 4')}


def test_mmarco_copies_of_a_relevant_passage_go_and_are_counted(mmarco, tmp_path, capsys):
    lines(mmarco / "collection.de.tsv", "0\tMond", "1\tMond", "2\tEbbe", "3\tFlut")
    lines(mmarco / "collection.en.tsv", "0\tmoon", "1\tthe moon", "2\tebb", "3\tebb")
    # Of query 7, German has passage 0 twice; 2 is relevant and a negative; in English 3 says what 2 says.
    lines(mmarco / "triples.tsv", "7\t0\t2", "7\t1\t3", "7\t2\t3")
    rows = converted(["from-mmarco", mmarco, "--negatives", "5"], tmp_path / "rows.jsonl")
    assert [(row.lang, row.passage, row.negatives) for row in rows] == [
        ("de", "Mond", ("Flut",)),
        ("de", "Ebbe", ("Flut",)),
        ("en", "moon", ()),
        ("en", "the moon", ()),
        ("en", "ebb", ()),
    ]
    said = capsys.readouterr().out
    assert "1 repeated passages of a query left out" in said
    assert "3 negatives that are a passage of the query left out" in said


def test_mmarco_qrels_and_its_own_names(mmarco, tmp_path):
    (mmarco / "queries.de.tsv").rename(mmarco / "german_queries.train.tsv")
    with gzip.open(tmp_path / "x.gz", "wt") as out:
        out.write((mmarco / "collection.de.tsv").read_text())
    (tmp_path / "x.gz").rename(mmarco / "german_collection.tsv.gz")
    lines(mmarco / "qrels.train.tsv", "7\t0\t2\t1", "8 0 3 0", "9 0 5 1")
    names = ["--queries", "{language}_queries.train.tsv", "--collection", "{language}_collection.tsv.gz"]
    rows = converted(["from-mmarco", mmarco, *names], tmp_path / "rows.jsonl")
    assert [(row.group, row.lang, row.passage) for row in rows] == [
        ("7", "de", 'de "passage" 2'),
        ("9", "de", 'de "passage" 5'),
    ]


def test_mmarco_errors(mmarco, tmp_path, capsys):
    target = tmp_path / "rows.jsonl"
    assert "--relations" in refused(["from-mmarco", mmarco], target, capsys)
    triples = lines(mmarco / "triples.tsv", "7\t0\t3", "7\t0", "8\t0\t1\tx")
    broken = lines(mmarco / "collection.en.tsv", "0\tp\tq", "3\tn")
    said = refused(["from-mmarco", mmarco], target, capsys)
    assert f"{triples}:2: 2 columns; expected 3 or 4" in said
    assert f"{triples}:3: relevance 'x' is not a whole number" in said
    assert f"{broken}:1: 3 tab-separated columns; expected 2" in said
    assert "no language has both" in refused(["from-mmarco", mmarco, "--queries", "{lang}.tsv"], target, capsys)
    assert "--langs" in refused(["from-mmarco", mmarco, "--langs", "fr"], target, capsys)
    assert "no such folder" in refused(["from-mmarco", tmp_path / "nowhere"], target, capsys)
