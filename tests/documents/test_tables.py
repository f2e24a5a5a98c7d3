"""Tables, records and encodings as people have them: read right, or named with file and line."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from isoglot.core.problems import Problems
from isoglot.documents import read_files


def read(path):
    problems = Problems()
    return [(d.id, d.title, d.text, d.lang) for d in read_files([path], problems)], problems.shown


def put(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        "id,lang,text\n1,de,Brot\n",
        "id;lang;text\n1;de;Brot\n",
        "ID,Lang,Text\n1,de,Brot\n",
        "id\tlang\ttext\n1\tde\tBrot\n",
        "id|lang|text\r\n1|de|Brot\r\n",
        "id,lang,text\r1,de,Brot\r",
        '"id";"lang";"text"\n"1";"de";"Brot"\n\n',
        "\ufeffid, lang , text\n1,DE,Brot",
        'id, lang, text\n1, de, "Brot"\n',
        "sep=|\nid|lang|text\n1|de|Brot\n",
        "sep=\t\r\nid\tlang\ttext\r\n1\tde\tBrot\r\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_dialects_of_csv(tmp_path, text, encoding):
    assert read(put(tmp_path / "t.csv", text, encoding)) == ([("1", "", "Brot", "de")], [])


def test_csv_in_a_code_page_is_read_and_told(tmp_path):
    rows = "id;lang;text\n" + "".join(f"{n};de;Die Größe der Bäume überraschte uns schöner\n" for n in range(20))
    documents, told = read(put(tmp_path / "t.csv", rows, "cp1252"))
    assert documents[7] == ("7", "", "Die Größe der Bäume überraschte uns schöner", "de")
    assert told == [f"{tmp_path / 't.csv'}: not UTF-8; read as cp1252, which is a guess"]


def test_rows_that_do_not_fit_are_named(tmp_path):
    documents, told = read(
        put(
            tmp_path / "t.csv", 'id,text\n1,Brot\n2,Brot, Butter\n3\n4,"zwei\nZeilen"\n5,"a"b\n6,gut\n7,"offen\n8,weg\n'
        )
    )
    assert [(document[0], document[2]) for document in documents] == [
        ("1", "Brot"),
        ("4", "zwei\nZeilen"),
        ("6", "gut"),
    ]
    places = [line.removeprefix(f"{tmp_path / 't.csv'}:") for line in told]
    assert places == [
        "3: 3 columns; the first line has 2",
        "4: 1 columns; the first line has 2",
        "7: not readable as CSV (',' expected after '\"'); the line skipped",
        "9: not readable as CSV (unexpected end of data); lines 9 to 10 skipped",
    ]


def test_quotation_marks_in_tsv_are_signs(tmp_path):
    text = 'id\ttext\n1\t"Ja" sagte er\n2\t"Nein\n3\t"Er sagte ""ja"""\n4\t"Ganz"\n5\ta\tb\n'
    documents, told = read(put(tmp_path / "t.tsv", text))
    assert [document[2] for document in documents] == ['"Ja" sagte er', '"Nein', 'Er sagte "ja"', '"Ganz"']
    assert told == [f"{tmp_path / 't.tsv'}:6: 3 columns; the first line has 2"]


def test_quotation_marks_round_all_names_in_tsv_are_quoting(tmp_path):
    text = '"id"\t"text"\n"1"\t"zwei\nZeilen"\n"2"\t"Er sagte ""ja"""\n'
    documents, told = read(put(tmp_path / "t.tsv", text))
    assert ([document[2] for document in documents], told) == (["zwei\nZeilen", 'Er sagte "ja"'], [])


def test_nothing_to_read_and_two_of_one_name_are_told(tmp_path):
    for name, text in (("a.csv", "id,text\n"), ("a.jsonl", "\n"), ("a.json", "[]"), ("a.tsv", "id\ttext\n\t\n")):
        assert read(put(tmp_path / name, text)) == ([], [f"{tmp_path / name}: the file holds no documents"])
    documents, told = read(put(tmp_path / "t.csv", "text,text\neins,zwei\n"))
    assert documents[0][2] == "zwei"
    assert told == [f"{tmp_path / 't.csv'}:1: two columns are called 'text'; only one of them is read"]


def test_columns_that_are_not_there_are_named_with_those_that_are(tmp_path):
    for text in ("Kennung;Inhalt\n1;x\n", "Kennung;Inhalt\n"):
        documents, told = read(put(tmp_path / "t.csv", text))
        assert not documents
        assert "t.csv:1: no column text or passage or" in told[0]
        assert told[0].endswith("the columns are: Kennung, Inhalt")
    assert "the file is empty" in read(put(tmp_path / "t.csv", ""))[1][0]
    _, told = read(put(tmp_path / "t.jsonl", '{"Kennung": 1, "Inhalt": "x"}\n{"text": 3}'))
    assert told[0].endswith("the fields are: Kennung, Inhalt")
    assert "the fields are" not in told[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.json", '[{"id": 1, "text": "Brot"}, {"id": 2, "text": "Milch"}]'),
        ("t.json", '{"documents": [{"id": 1, "text": "Brot"}, {"id": 2, "text": "Milch"}], "n": 2}'),
        ("t.json", '{"id": 1, "text": "Brot"}\n{"id": 2, "text": "Milch"}\n'),
        ("t.json", '{\n "id": 1,\n "text": "Brot"\n}\n{\n "id": 2,\n "text": "Milch"\n}\n'),
        ("t.json", '{"id": 1, "text": "Brot"} {"id": 2, "text": "Milch"}'),
        ("t.jsonl", '[{"id": 1, "text": "Brot"},\n{"id": 2, "text": "Milch"}]'),
        ("t.jsonl", '\n\n[{"id": 1, "text": "Brot"},\n{"id": 2, "text": "Milch"}]'),
        ("t.ndjson", '{"ID": 1, "Text": "Brot"}\r{"ID": 2, "Text": "Milch"}\r'),
        ("t.jsonl", '\ufeff{"id": 1, "text": "Brot"}\r\n\r\n{"id": 2, "text": "Milch"}'),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_records_in_json(tmp_path, name, text, encoding):
    wanted = [("1", "", "Brot", None), ("2", "", "Milch", None)]
    assert read(put(tmp_path / name, text, encoding)) == (wanted, [])
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(json.dumps([{"id": 1, "text": "Brot"}]).encode()))
    assert read(tmp_path / "t.json.gz")[0] == wanted[:1]


def test_no_field_of_a_record_disappears(tmp_path):
    lines = [
        '{"text": "a", "title": 7, "lang": " ", "metadata": "m"}',
        '{"text": "b", "title": {"de": "T"}}',
        '{"text": ["c"]}',
    ]
    problems = Problems()
    documents = list(read_files([put(tmp_path / "t.jsonl", "\n".join(lines))], problems))
    assert [(d.title, d.lang, dict(d.metadata)) for d in documents] == [
        ("7", None, {"metadata": "m"}),
        ("", None, {"title": {"de": "T"}}),
    ]
    (told,) = problems.shown
    assert "t.jsonl:3: no text but list; expected a field text or" in told


def test_parquet_of_programs_that_do_not_say_what_is_text(tmp_path):
    path = tmp_path / "t.parquet"
    for kind in (pa.binary(), pa.large_binary()):
        written = pa.array([b"Gr\xc3\xb6\xc3\x9fe", b"\xff"], kind)
        pq.write_table(pa.table({"text": written, "id": ["a", "b"]}), path)
        documents, told = read(path)
        assert [document[:3] for document in documents] == [("a", "", "Größe")]
        assert told[0].startswith(f"{path}:2: no text but bytes; expected")


def test_damaged_names_of_columns_in_parquet_are_named(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["Brot"]}), path)
    path.write_bytes(path.read_bytes().replace(b"text", b"tex\xf1"))
    documents, told = read(path)
    assert not documents
    assert f"{path}: not a readable Parquet file" in told[0]


def test_times_that_python_cannot_hold_are_named(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["a"], "at": pa.array([2**50], pa.timestamp("ms"))}), path)
    documents, (told,) = read(path)
    assert not documents
    assert told == f"{path}: not a readable Parquet file (date value out of range)"


def test_broken_json_is_named(tmp_path):
    assert "t.json:2: broken or truncated JSON" in read(put(tmp_path / "t.json", '[{"text": "a"},\n{"text"'))[1][0]
    assert (
        "t.json:2: expected an object with a text, got int"
        in read(put(tmp_path / "t.json", '[{"text": "a"}, 3]'))[1][0]
    )


def test_declared_encodings(tmp_path):
    page = '<html><head><meta charset="{}"><title>図書館</title></head><body>図書館は月曜日に休館します。</body></html>'
    for encoding in ("iso-2022-jp", "shift_jis", "euc-jp"):
        path = put(tmp_path / "t.html", page.format(encoding), encoding)
        assert read(path) == ([("t.html", "図書館", "図書館は月曜日に休館します。", None)], [])
    path = put(
        tmp_path / "t.html",
        '<meta http-equiv=content-type content="text/html; charset=iso-8859-1">Preis: 3 €',
        "cp1252",
    )
    assert read(path)[0][0][2] == "Preis: 3 €"
    path = put(tmp_path / "t.html", "<meta charset=latin1>Schön wär’s", "utf-8")
    assert read(path)[0][0][2] == "Schön wär’s"


def test_newlines_and_zero_bytes(tmp_path):
    assert read(put(tmp_path / "t.txt", "eins\rzwei\r\ndrei"))[0][0][2] == "eins\nzwei\ndrei"
    assert read(put(tmp_path / "t.txt", "eins\0zwei drei vier fünf"))[0][0][2] == "eins zwei drei vier fünf"
    assert read(put(tmp_path / "t.csv", "text\neins\0zwei drei vier fünf\n"))[0][0][2] == "eins zwei drei vier fünf"
