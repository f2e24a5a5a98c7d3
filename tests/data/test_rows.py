import gzip
import json
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.core.problems import Problems
from isoglot.data.rows import Row, read_rows, write_rows
from support.rows import write_jsonl

GOOD = {"group": "g", "lang": "de", "query": "Was?", "passage": "Das."}


def lines(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


def problems_of(*paths):
    with pytest.raises(InputError) as caught:
        list(read_rows(paths))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_fields_defaults_and_line_numbers(tmp_path):
    full = {
        **GOOD,
        "group": 7,
        "lang": "zh-Hant",
        "dataset": "wiki",
        "title": "T",
        "context": "C",
        "topic": "top",
        "negatives": ["n1", "n2"],
        "scores": [0.9, 0.1, 0],
        "unknown": {"kept": False},
    }
    path = lines(tmp_path / "news.v2.jsonl", GOOD, "", full, {**GOOD, "lang": "en", "title": None, "negatives": None})
    (_, first, plain), (_, third, row), (_, fourth, nulls) = read_rows([path])
    assert (first, third, fourth) == (1, 3, 4)
    assert plain == Row("g", "de", "Was?", "Das.", "news")
    assert row == Row("7", "zh-Hant", "Was?", "Das.", "wiki", "T", "C", "top", ("n1", "n2"), (0.9, 0.1, 0.0))
    assert row.passage_text == "T Das."
    assert nulls == Row("g", "en", "Was?", "Das.", "news")
    assert nulls.passage_text == "Das."


ROWS = [
    Row("a", "th", "ถาม\u2028?", "ตอบ\n\t", "d", negatives=("x",), scores=(1.0, 0.25)),
    Row("a", "en", "q", "p", "d", title="t", context="c", topic="o"),
]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_written_rows_are_read_back(tmp_path, name):
    assert write_rows(ROWS, tmp_path / name) == 2
    assert [row for _, _, row in read_rows([tmp_path / name])] == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_same_rows_are_the_same_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_rows(ROWS, tmp_path / name)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert (tmp_path / "a.jsonl.gz").read_bytes()[3:8] == bytes(5)  # no name, no time


@pytest.mark.parametrize("name", ["rows.parquet", "rows.PARQUET", "rows.csv", "rows.tsv.gz"])
def test_rows_are_not_written_to_what_is_read_otherwise(tmp_path, capsys, name):
    with pytest.raises(InputError, match=r"give a name that ends in \.jsonl or \.jsonl\.gz"):
        write_rows(ROWS, tmp_path / name)
    (tmp_path / "a.tsv").write_text("en\tde\nOne\tEins\n", encoding="utf-8")
    assert run(["data", "from-bitext", str(tmp_path / "a.tsv"), "-o", str(tmp_path / name)]) == 2
    assert f"{tmp_path / name}: rows are written as JSON lines" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsv"]


def test_endings_in_capitals(tmp_path):
    (tmp_path / "ROWS.JSONL.GZ").write_bytes(gzip.compress(json.dumps(GOOD).encode()))
    pq.write_table(pa.Table.from_pylist([GOOD]), tmp_path / "ROWS.PARQUET")
    assert [row.passage for _, _, row in read_rows(sorted(tmp_path.iterdir()))] == ["Das.", "Das."]


@pytest.mark.parametrize("text", ["", " \t", "\u200f", "\ufeff\u200b \u200e\u00a0", "\u00ad"])
def test_what_nobody_sees_is_no_text(tmp_path, text):
    said = problems_of(lines(tmp_path / "a.jsonl", {**GOOD, "passage": text}, {**GOOD, "negatives": [text]}))
    assert "a.jsonl:1: field 'passage' is empty" in said
    assert "a.jsonl:2: field 'negatives' is not a list of texts" in said


def test_gzip_may_hold_several_members(tmp_path):
    path = tmp_path / "two.jsonl.gz"
    line = json.dumps(GOOD).encode() + b"\n"
    path.write_bytes(gzip.compress(line) + gzip.compress(line.replace(b"de", b"en")))
    assert [row.lang for _, _, row in read_rows([path])] == ["de", "en"]


def test_a_byte_order_mark_and_windows_line_ends(tmp_path):
    path = tmp_path / "bom.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + (json.dumps(GOOD) + "\r\n\r\n").encode())
    assert [(number, row.query) for _, number, row in read_rows([path])] == [(1, "Was?")]


def test_parquet_rows(tmp_path):
    path = tmp_path / "wiki.parquet"
    columns = {
        "group": pa.array([1, 1, 2]),
        "lang": pa.array(["de", "en", "de"]).dictionary_encode(),
        "query": pa.array(["a", "b", "c"], pa.large_string()),
        "passage": ["x", "y", "z"],
        "title": [None, "T", None],
        "negatives": [["n"], None, []],
        "scores": [[0.5, 0.25], None, None],
        "other": [1, 2, 3],
    }
    pq.write_table(pa.table(columns), path)
    found = list(read_rows([path]))
    assert [number for _, number, _ in found] == [1, 2, 3]
    assert [row for _, _, row in found] == [
        Row("1", "de", "a", "x", "wiki", negatives=("n",), scores=(0.5, 0.25)),
        Row("1", "en", "b", "y", "wiki", title="T"),
        Row("2", "de", "c", "z", "wiki"),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "not a JSON object"),
        ("[1]", "expected a JSON object, got list"),
        ('"text"', "expected a JSON object, got str"),
        ({key: GOOD[key] for key in ("group", "lang", "query")}, "field 'passage' is missing; the fields are: group,"),
        ({**GOOD, "query": 3}, "field 'query' is not a text"),
        ({**GOOD, "query": None}, "field 'query' is not a text"),
        ({**GOOD, "group": True}, "field 'group' is not a text"),
        ({**GOOD, "group": 1.5}, "field 'group' is not a text"),
        ({**GOOD, "passage": " \t"}, "field 'passage' is empty"),
        ({**GOOD, "lang": "German!"}, "field 'lang': 'German!' is not a language code"),
        ({**GOOD, "title": 1}, "field 'title' is not a text"),
        ({**GOOD, "negatives": "n"}, "field 'negatives' is not a list of texts"),
        ({**GOOD, "negatives": ["n", ""]}, "field 'negatives' is not a list of texts"),
        ({**GOOD, "scores": [True]}, "field 'scores' is not a list of numbers"),
        ({**GOOD, "negatives": ["n"], "scores": [1]}, "'scores' has 1 values for a passage and 1 negatives"),
        ('{"group": "g", "lang": "de", "query": "a", "passage": "b", "scores": [NaN]}', "not a list of numbers"),
        ({**GOOD, "scores": [10**400]}, "field 'scores' is not a list of numbers"),
        ({**GOOD, "query": "half \ud800"}, "surrogate"),
        ({**GOOD, "negatives": ["half \udfff"]}, "surrogate"),
        ({**GOOD, "topic": "\ud800"}, "surrogate"),
        ("[" * 100_000, "nested too deeply"),
        ('{"group": ' + "9" * 5000 + "}", "not a JSON object"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, words):
    path = lines(tmp_path / "rows.jsonl", GOOD, line)
    message = problems_of(path)
    assert message.startswith("1 problem in the input:\n")
    assert f"{path}:2: " in message
    assert words in message
    assert "docs/data.md" in message


def test_several_faults_of_one_line_are_one_problem(tmp_path):
    message = problems_of(lines(tmp_path / "rows.jsonl", {"group": "", "lang": "de", "query": 1}))
    assert "1 problem" in message
    for words in ("field 'group' is empty", "'query' is not a text", "'passage' is missing"):
        assert words in message


def test_one_file_need_not_hide_the_others():
    problems = Problems(each=2)
    for line in range(1, 40):
        problems.add("a.jsonl", line, "odd")
    problems.add("b.pdf", None, "broken")
    assert problems.count == 40
    assert problems.shown == ["a.jsonl:1: odd", "a.jsonl:2: odd", "b.pdf: broken"]


def test_all_problems_are_counted_and_twenty_shown(tmp_path):
    first = lines(tmp_path / "a.jsonl", *["{"] * 15)
    second = lines(tmp_path / "b.jsonl", GOOD, *["{"] * 15)
    message = problems_of(first, second)
    assert message.startswith("30 problems in the input:\n")
    assert message.count("not a JSON object") == 20
    assert f"{second}:6: " in message
    assert f"{second}:7: " not in message
    assert "... and 10 more" in message


def test_good_lines_come_through_while_problems_gather(tmp_path):
    gathered = Problems()
    path = lines(tmp_path / "rows.jsonl", "{", GOOD)
    assert [number for _, number, _ in read_rows([path], gathered)] == [2]
    assert gathered.count == 1


def test_bytes_that_are_no_utf8(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b'\n{"query": "\xfcber"}\n')
    assert f"{path}:2: not UTF-8 (byte 11" in problems_of(path)


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.jsonl.gz", "empty.parquet"])
def test_a_file_without_rows(tmp_path, name):
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table({key: pa.array([], pa.string()) for key in GOOD}), path)
    else:
        path.write_bytes(gzip.compress(b"") if name.endswith("gz") else b"\n")
    assert f"{path}: the file holds no rows" in problems_of(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "block", "plain"])
def test_a_broken_gzip_file(tmp_path, damage):
    path = tmp_path / "rows.jsonl.gz"
    whole = gzip.compress("".join(json.dumps({**GOOD, "group": str(n)}) + "\n" for n in range(2000)).encode())
    middle = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 255, 255, 255]) + whole[middle + 3 :],
            # Bits 1 and 2 of the first deflate byte set: no such kind of block.
            "block": whole[:10] + b"\xff" + whole[11:],
            "plain": json.dumps(GOOD).encode(),
        }[damage]
    )
    assert f"{path}: a broken or truncated gzip file" in problems_of(path)


def test_parquet_faults(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"")
    assert f"{path}: not a readable Parquet file" in problems_of(path)
    pq.write_table(pa.table({"group": ["a"], "lang": ["de"], "text": ["x"]}), path)
    assert f"{path}: no column query, passage; the columns are: group, lang, text" in problems_of(path)
    pq.write_table(pa.table({**{key: [value] * 2 for key, value in GOOD.items()}, "query": ["a", None]}), path)
    assert f"{path}:2: field 'query' is missing" in problems_of(path)
    pq.write_table(pa.table({key: [f"{value}{n}" for n in range(5000)] for key, value in GOOD.items()}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    assert f"{path}: not a readable Parquet file" in problems_of(path)


def test_a_row_of_several_passages_is_a_row_for_each(tmp_path):
    row = {"group": "a", "lang": "de", "query": "q", "negatives": ["n", "m"]}
    listed = [
        {**row, "passages": ["p", {"title": "T", "text": "s"}], "scores": [3, 2, 1, 0]},
        {**row, "group": "b", "passages": ["only"]},
    ]
    path = write_jsonl(tmp_path / "rows.jsonl", listed)
    pq.write_table(pa.Table.from_pylist([{**row, "passages": ["p", "s"]}]), tmp_path / "rows.parquet")
    found = [(number, row) for _, number, row in read_rows([path])]
    assert [(number, row.group, row.title, row.passage, row.scores) for number, row in found] == [
        (1, "a", None, "p", (3, 1, 0)),
        (1, "a", "T", "s", (2, 1, 0)),
        (2, "b", None, "only", ()),
    ]
    assert {row.negatives for _, row in found} == {("n", "m")}
    assert [row.passage for _, _, row in read_rows([tmp_path / "rows.parquet"])] == ["p", "s"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"passages": []}, "'passages' is not a list of one or more"),
        ({"passages": "p"}, "'passages' is not a list of one or more"),
        ({"passages": ["p", ""]}, "'passage' is empty"),
        ({"passages": ["p", 7]}, "'passage' is not a text"),
        ({"passages": ["p", "p"]}, "holds a passage twice"),
        ({"passages": ["p"], "passage": "p"}, "exclude each other"),
        ({"passages": ["p", "s"], "scores": [1]}, "'scores' has 1 values for 2 passages and 0 negatives"),
    ],
)
def test_several_passages_that_are_none(tmp_path, fields, words):
    path = write_jsonl(tmp_path / "rows.jsonl", [{"group": "a", "lang": "de", "query": "q", **fields}])
    with pytest.raises(InputError, match=rf"^1 problem in the input:\n.*rows\.jsonl:1: .*{words}"):
        list(read_rows([path]))


def test_a_missing_file(tmp_path):
    assert f"{tmp_path / 'no.jsonl'}: no such file" in problems_of(tmp_path / "no.jsonl")
    assert f"{tmp_path}: a folder" in problems_of(tmp_path)


def test_a_failed_write_leaves_nothing(tmp_path):
    def rows():
        yield ROWS[0]
        raise InputError("broken half-way")

    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(InputError, match="half-way"):
        write_rows(rows(), tmp_path / "out.jsonl")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_a_killed_write_left_is_removed_after_a_day(tmp_path):
    for name, hours in (
        (".out.jsonl.abcdefgh.tmp", 25),
        (".out.jsonl.hgfedcba.tmp", 23),
        (".b.jsonl.abcdefgh.tmp", 25),
    ):
        (tmp_path / name).write_text("half")
        os.utime(tmp_path / name, (time.time() - 3600 * hours,) * 2)
    write_rows(ROWS, tmp_path / "out.jsonl")
    left = {".out.jsonl.hgfedcba.tmp", ".b.jsonl.abcdefgh.tmp", "out.jsonl"}  # the first may still be written to
    assert {path.name for path in tmp_path.iterdir()} == left


def test_show_keeps_wide_codes_apart(tmp_path, capsys):
    rows = [
        {"group": f"g{n}", "lang": lang, "query": f"q {lang} {n}", "passage": f"p {lang} {n}"}
        for n in range(2)
        for lang in ("de", "zh", "zh-Hant", "sr-Latn")
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert run(["data", "show", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = lines[lines.index("groups that have both languages") + 1]
    assert head.split() == ["de", "sr-Latn", "zh", "zh-Hant"]
    ends = [head.index(code) + len(code) for code in head.split()]
    for line in lines[lines.index(head) + 1 :]:
        assert [line[:end][-1] for end in ends] == ["2"] * 4


def test_a_file_that_cannot_be_read_is_named(tmp_path, lock):
    path = lines(tmp_path / "rows.jsonl", GOOD)
    lock(path)
    assert problems_of(path) == f"{path}: cannot be read (Permission denied)"


def test_a_parquet_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Failed to open local file")

    monkeypatch.setattr(pq, "ParquetFile", refuse)
    (tmp_path / "rows.parquet").touch()
    assert problems_of(tmp_path / "rows.parquet") == f"{tmp_path / 'rows.parquet'}: cannot be read (Permission denied)"


def test_a_file_cut_within_a_character_is_not_called_wrongly_encoded(tmp_path):
    path = tmp_path / "rows.jsonl"
    line = json.dumps({**GOOD, "passage": "Größe"}, ensure_ascii=False).encode()
    path.write_bytes(line + b"\n" + line[: line.index("ß".encode()) + 1])
    said = problems_of(path)
    assert f"{path}:2: ends within a character (byte {line.index('ß'.encode())}); is the file truncated?" in said
    assert "iconv" not in said
    path.write_bytes("Größe".encode("cp1252") + b"\n" + line + b"\n")
    assert "iconv" in problems_of(path)


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.TSV.gz"])
def test_tables_are_no_rows(tmp_path, name):
    path = lines(tmp_path / name, "query,passage")
    assert f"{path}: not a row file (JSONL or Parquet); convert with `isoglot data from-pairs" in problems_of(path)
    assert "--group-column" in problems_of(path)
