import gzip
import json
from collections import Counter

import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.data.prepared import prepare
from isoglot.data.readers import mmarco
from isoglot.data.readers.hub import Columns, hub_rows
from isoglot.data.readers.judged import judged_rows
from isoglot.data.readers.swim_ir import swim_ir_rows
from isoglot.data.rows import Row
from support.rows import write_jsonl


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder


def lines(*records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@pytest.fixture
def miracl(tmp_path):
    home = "miracl-v1.0-sw"
    return write(
        tmp_path / "miracl",
        {
            f"{home}/topics/topics.miracl-v1.0-sw-train.tsv": "1\tNani?\n2\tWapi?\n3\tLini?\n4\tNgapi?\n",
            f"{home}/qrels/qrels.miracl-v1.0-sw-train.tsv": "1\tQ0\ta#0\t1\n1\tQ0\tb#0\t1\n1\tQ0\tc#0\t0\n"
            "1\tQ0\td#0\t0\n2\tQ0\ta#0\t1\n3\tQ0\tz#9\t1\n",
            "miracl-corpus-v1.0-sw/docs-0.jsonl.gz": lines(
                {"docid": "a#0", "title": "A", "text": "Jibu la kwanza."}, {"docid": "b#0", "text": "Jibu la pili."}
            ),
            "miracl-corpus-v1.0-sw/docs-1.jsonl.gz": lines(
                {"docid": "c#0", "title": "C", "text": "Sio jibu."}, {"docid": "d#0", "title": "D", "text": "Wala."}
            ),
        },
    )


def test_miracl_keeps_all_positives(miracl, tmp_path):
    notes = Counter()
    rows = list(judged_rows(miracl, negatives=1, notes=notes))
    assert list(judged_rows(miracl, langs=["sw"], negatives=1)) == rows
    assert rows == [
        Row("sw:1", "sw", "Nani?", "Jibu la kwanza.", "miracl", title="A", negatives=("C Sio jibu.",)),
        Row("sw:1", "sw", "Nani?", "Jibu la pili.", "miracl", negatives=("C Sio jibu.",)),
        Row("sw:2", "sw", "Wapi?", "Jibu la kwanza.", "miracl", title="A"),
    ]
    assert notes == {
        "queries without a relevant passage in the corpus": 1,
        "judged passages missing from the corpus": 1,
        "queries without a judgement": 1,
    }
    target = tmp_path / "rows.jsonl"
    assert run(["data", "from-miracl", str(miracl), "-o", str(target), "--negatives", "0"]) == 0
    assert len(prepare([target], tmp_path / "prepared")) == 3
    assert run(["data", "from-miracl", str(miracl), "-o", str(tmp_path / "x"), "--split", "dev"]) == 2


def test_a_copy_of_a_relevant_passage_is_no_negative(miracl):
    notes = Counter()
    copied = miracl / "miracl-corpus-v1.0-sw/docs-1.jsonl.gz"
    records = [
        {"docid": "c#0", "title": "A", "text": "Jibu la  kwanza."},
        {"docid": "d#0", "title": "D", "text": "Wala."},
    ]
    write(copied.parent, {copied.name: lines(*records)})
    rows = list(judged_rows(miracl, negatives=2, notes=notes))
    assert {row.negatives for row in rows if row.group == "sw:1"} == {("D Wala.",)}
    assert notes["negatives that are a passage of the query left out"] == 1


def test_a_passage_that_is_judged_twice_alike_counts_once(miracl):
    rows = list(judged_rows(miracl, negatives=2))
    qrels = miracl / "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-train.tsv"
    qrels.write_text("".join(line * 2 for line in qrels.read_text().splitlines(keepends=True)))
    assert list(judged_rows(miracl, negatives=2)) == rows


def test_mr_tydi(tmp_path):
    folder = write(
        tmp_path,
        {
            "mrtydi-v1.1-finnish/topic.train.tsv": "7\tMikä?\n",
            "mrtydi-v1.1-finnish/qrels.train.txt": "7 0 1#1 1\n7 0 2#1 1\n",
            "mrtydi-v1.1-finnish/collection/docs.jsonl.gz": lines(
                {"id": "1#1", "contents": "Otsikko\n\nVastaus on\ntässä."}, {"id": "2#1", "contents": "Pelkkä teksti."}
            ),
        },
    )
    assert list(judged_rows(folder)) == [
        Row("fi:7", "fi", "Mikä?", "Vastaus on tässä.", "mr-tydi", title="Otsikko"),
        Row("fi:7", "fi", "Mikä?", "Pelkkä teksti.", "mr-tydi"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("qrels/qrels.miracl-v1.0-sw-train.tsv", "1 Q0 a#0 yes\n9 Q0 a#0 1\n", "2 problems"),
        ("qrels/qrels.miracl-v1.0-sw-train.tsv", "1 Q0 a#0 1\n1 Q0 a#0 0\n", "judges passage 'a#0' again, with 0"),
        ("topics/topics.miracl-v1.0-sw-train.tsv", "1\tNani?\textra\n", "3 tab-separated columns; expected 2"),
    ],
)
def test_broken_miracl_files_are_named(miracl, name, text, said):
    write(miracl / "miracl-v1.0-sw", {name: text})
    with pytest.raises(InputError, match=said):
        list(judged_rows(miracl))
    with pytest.raises(InputError, match="expected miracl"):
        list(judged_rows(miracl.parent))


def test_swim_ir(tmp_path):
    from collections import Counter

    record = {"_id": "1", "lang": "German", "code": "de", "query": "Was ist das?", "title": "Berg", "text": "Ein Berg."}
    cross = {**record, "_id": "2", "code": "hi", "query": "यह क्या है?", "text": "A mountain in the north."}
    path, notes = write_jsonl(tmp_path / "train.jsonl", [record, cross]), Counter()
    assert list(swim_ir_rows([path], notes=notes)) == [
        Row("de:1", "de", "Was ist das?", "Ein Berg.", "swim-ir", title="Berg")
    ]
    assert [(count, reason[:49]) for reason, count in notes.items()] == [
        (1, "records whose passage is in another language than")
    ]
    bad = write_jsonl(tmp_path / "bad.jsonl", [{"query": "?"}])
    with pytest.raises(InputError, match=r"bad.jsonl:1: no _id, code, title, text"):
        list(swim_ir_rows([bad]))
    assert run(["data", "from-swim-ir", str(path), "-o", str(tmp_path / "o.jsonl"), "--langs", "fr"]) == 2  # no rows
    assert run(["data", "from-swim-ir", str(path), "-o", str(tmp_path / "o.jsonl"), "--langs", "de"]) == 0


ENGLISH = "The mountain stands in the north of the country, and its summit is covered with snow all year."
GERMAN = "Der Berg steht im Norden des Landes, und auf seinem Gipfel liegt das ganze Jahr über Schnee."


def test_swim_ir_across_languages(tmp_path):
    """A question and its English passage serve batches from German to English, never one language alone."""
    from collections import Counter

    record = {"_id": "1", "code": "de", "query": "Wo steht der Berg?", "title": "Mountain", "text": ENGLISH}
    others = [{**record, "_id": "2", "text": GERMAN}, {**record, "_id": "3", "code": "en", "query": "Where?"}]
    path, notes = write_jsonl(tmp_path / "train.jsonl", [record, *others]), Counter()
    rows = list(swim_ir_rows([path], cross_lingual=True, notes=notes))
    question = "Wo steht der Berg?"
    assert rows == [
        Row("de:1", "de", question, question, "swim-ir", kind="bitext"),
        Row("de:1", "en", ENGLISH, ENGLISH, "swim-ir", title="Mountain", kind="bitext"),
    ]
    assert notes == {"records whose passage is not in English": 1, "questions in English, as their passages are": 1}
    # Without being told so, German questions about English passages are no German rows.
    assert [row.group for row in swim_ir_rows([path])] == ["de:2", "en:3"]
    target = tmp_path / "rows.jsonl"
    assert run(["data", "from-swim-ir", str(path), "-o", str(target), "--cross-lingual"]) == 0
    table = prepare([target], tmp_path / "prepared").table
    assert (table.cross_only, table.languages) == (("swim-ir",), ("de", "en"))


@pytest.fixture
def hub_folder(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write_jsonl(
        folder / "train.jsonl",
        [
            {"q": {"text": "Was?"}, "answers": [{"text": "Das."}, {"text": "Dies."}, {"text": "Das."}], "l": "de",
             "g": 1, "no": ["Nein."], "head": "T"},
            {"q": {"text": "What?"}, "answers": [{"text": "That."}], "l": "EN", "g": 1, "no": [], "head": "T"},
        ],
    )  # fmt: skip
    return folder


def test_any_hub_data_set_by_its_columns(hub_folder, tmp_path):
    columns = Columns("q.text", "answers.text", "l", group="g", title="head", negatives="no")
    assert list(hub_rows(str(hub_folder), columns, dataset="set")) == [
        Row("1", "de", "Was?", "Das.", "set", title="T", negatives=("Nein.",)),
        Row("1", "de", "Was?", "Dies.", "set", title="T", negatives=("Nein.",)),
        Row("1", "en", "What?", "That.", "set", title="T"),
    ]
    argv = ["data", "from-hub", str(hub_folder), "--query", "q.text", "--passage", "answers.text", "--lang", "l"]
    assert run([*argv, "-o", str(tmp_path / "rows.jsonl"), "--limit", "1"]) == 0
    assert len(prepare([tmp_path / "rows.jsonl"], tmp_path / "p")) == 2
    # A code stands for all records.
    (row, *_) = hub_rows(str(hub_folder), Columns("q.text", "head", "fr"), dataset="set")
    assert (row.lang, row.group, row.passage) == ("fr", "1", "T")


@pytest.mark.parametrize(
    ("name", "columns", "said"),
    [
        (None, Columns("question", "head", "l"), "no column 'question' for the query; the columns are: q, answers"),
        (None, Columns("q.text", "head", "tongue!"), "no column 'tongue!' for the language"),
        (None, Columns("q.text", "answers.txt", "l"), r"none of 2 records has a text in 'answers.txt'"),
        (None, Columns("q.text", "head", "l", title="titel"), "no column 'titel' for the title"),
        (None, Columns("q.text", "head", "l", negatives="nope"), "no column 'nope' for the negatives"),
        (None, Columns("q.text", "head", "l", group="g2"), "no column 'g2' for the group"),
        ("owner/name", Columns("q", "p", "de"), "name a revision"),
        ("../nowhere", Columns("q", "p", "de"), "no Hub id"),
    ],
)
def test_bad_columns_and_names(hub_folder, name, columns, said):
    with pytest.raises(InputError, match=said):
        list(hub_rows(name or str(hub_folder), columns, dataset="set"))


def test_questions_without_an_answer_are_left_out_and_counted(tmp_path, capsys):
    (tmp_path / "squad").mkdir()
    answers = [["Das."], [], ["", "Dies.", "Dies."], None]
    records = [{"q": f"Was {n}?", "a": {"text": texts}} for n, texts in enumerate(answers)]
    write_jsonl(tmp_path / "squad" / "train.jsonl", records)
    argv = ["data", "from-hub", str(tmp_path / "squad"), "--query", "q", "--passage", "a.text", "--lang", "de"]
    assert run([*argv, "-o", str(tmp_path / "rows.jsonl")]) == 0
    assert "2 rows in" in (said := capsys.readouterr().out)
    assert "2 records without a passage left out" in said
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["group"], row["passage"]) for row in rows] == [("1", "Das."), ("3", "Dies.")]


def test_records_without_a_group_are_not_one_group(tmp_path):
    (tmp_path / "set").mkdir()
    records = [{"q": "Was?", "p": "Das.", "m": {"l": "de"}, "g": 1.0}, {"q": "Wer?", "p": "Der.", "m": {"l": "de"}}]
    write_jsonl(tmp_path / "set" / "train.jsonl", records)
    with pytest.raises(InputError, match=r"1 problem in the input:\n.*set:2: field 'group' is not a text"):
        list(hub_rows(str(tmp_path / "set"), Columns("q", "p", "m.l", group="g"), dataset="set"))
    assert [row.lang for row in hub_rows(str(tmp_path / "set"), Columns("q", "p", "m.l"), dataset="set")] == ["de"] * 2
    with pytest.raises(InputError, match="limit 0"):
        list(hub_rows(str(tmp_path / "set"), Columns("q", "p", "m.l"), dataset="set", limit=0))


def test_a_text_for_a_list_of_negatives_and_a_subset(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    write_jsonl(tmp_path / "set" / "train.jsonl", [{"q": "Was?", "p": "Das.", "n": "Dies."}])
    argv = ["data", "from-hub", str(tmp_path / "set"), "--query", "q", "--passage", "p", "--lang", "de"]
    assert run([*argv, "--negatives", "n", "-o", str(tmp_path / "rows.jsonl"), "--subset", "default"]) == 0
    (row,) = map(json.loads, (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines())
    assert row["negatives"] == ["Dies."]
    assert run([*argv, "-o", str(tmp_path / "none.jsonl"), "--subset", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_broken_file_of_a_data_set_is_named(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    good = json.dumps({"q": "Was?", "p": "Das."})
    (tmp_path / "set" / "train.jsonl").write_text(f'{good}\n{{"q": "W\n', encoding="utf-8")
    argv = ["data", "from-hub", str(tmp_path / "set"), "--query", "q", "--passage", "p", "--lang", "de"]
    assert run([*argv, "-o", str(tmp_path / "rows.jsonl")]) == 2
    assert f"{tmp_path / 'set'}: a file of it cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "rows.jsonl").exists()


def test_splits_that_are_not_there(hub_folder):
    with pytest.raises((InputError, IsoglotError), match="set"):
        list(hub_rows(str(hub_folder), Columns("q.text", "head", "l"), dataset="set", split="nonsense"))


def test_mmarco_by_hub_id(tmp_path, monkeypatch, capsys):
    folder = write(
        tmp_path / "snapshot",
        {
            "data/google/queries/train/german_queries.train.tsv": "1\tWas?\n",
            "data/google/collections/german_collection.tsv": "10\tDas.\n11\tNein.\n",
            mmarco.HUB_RELATIONS: "1\t10\t11\n",
        },
    )
    asked = {}

    def fetch(name, **settings):
        asked.update(settings, name=name)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    argv = ["data", "from-mmarco", "unicamp-dl/mmarco@abc", "--langs", "de", "-o", str(tmp_path / "rows.jsonl")]
    assert run(argv) == 0
    assert (asked["name"], asked["revision"]) == ("unicamp-dl/mmarco", "abc")
    assert set(asked["allow_patterns"]) == {
        mmarco.HUB_RELATIONS,
        "data/google/queries/train/german_queries.train.tsv",
        "data/google/collections/german_collection.tsv",
    }
    (row,) = map(json.loads, (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines())
    assert (row["query"], row["passage"], row["negatives"]) == ("Was?", "Das.", ["Nein."])
    capsys.readouterr()
    assert run(["data", "from-mmarco", "unicamp-dl/mmarco", "-o", str(tmp_path / "x.jsonl")]) == 2
    assert "no such folder" in capsys.readouterr().err
    monkeypatch.undo()
    with pytest.raises(InputError, match="downloading is off"):
        mmarco.fetch_mmarco("unicamp-dl/mmarco@0000000", ["de"], offline=True)
