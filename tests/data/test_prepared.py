import json
import shutil
import unicodedata
from dataclasses import fields

import numpy as np
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.data import prepared as prepare_module
from isoglot.data.description import describe, render
from isoglot.data.prepared import open_prepared, prepare
from isoglot.data.row_table import RowTable
from support.rows import parallel_rows, write_jsonl


@pytest.fixture(scope="module")
def prepared(rows_file, tmp_path_factory):
    return prepare([rows_file], tmp_path_factory.mktemp("prepared") / "rows", show_progress=False)


def test_texts_and_integers_describe_the_same_rows(prepared, rows_file):
    records = [json.loads(line) for line in rows_file.read_text(encoding="utf-8").splitlines()]
    table = prepared.table
    assert len(prepared) == len(records) == 137
    for name in ("group", "lang", "query", "passage", "dataset"):
        assert prepared.column(name) == [record[name] for record in records]
    assert prepared.column("query", [5, 2]) == [records[5]["query"], records[2]["query"]]
    assert prepared.passages() == [record["passage"] for record in records]
    assert [table.languages[number] for number in table.lang] == [record["lang"] for record in records]
    assert [table.datasets[number] for number in table.dataset] == [record["dataset"] for record in records]
    same = RowTable.from_columns(
        *([record[key] for record in records] for key in ("group", "lang", "passage", "dataset"))
    )
    for field in fields(RowTable):
        if field.name not in ("group", "keys", "key_rows", "group_offsets", "component"):
            assert np.array_equal(getattr(table, field.name), getattr(same, field.name)), field.name
    # Group and component numbers are arbitrary: the partitions must agree.
    for name in ("group", "component"):
        pairs = set(zip(getattr(table, name).tolist(), getattr(same, name).tolist(), strict=True))
        assert len(pairs) == len(set(getattr(same, name).tolist()))


def test_a_folder_opens_again(prepared):
    again = open_prepared(prepared.folder)
    assert again.checksum == prepared.checksum
    assert again.passages() == prepared.passages()
    assert isinstance(again.table.component, np.memmap)


def test_prepared_rows_equal_themselves(prepared):
    again = open_prepared(prepared.folder)
    assert prepared == prepared
    assert prepared != again
    assert prepared.table != again.table
    assert len({prepared, again, prepared}) == 2


def test_languages_can_be_restricted(rows_file, tmp_path):
    rows = prepare([rows_file], tmp_path / "out", langs=("de", "zh"), show_progress=False)
    assert rows.table.languages == ("de", "zh")
    assert len(rows) == 63
    with pytest.raises(InputError, match="langs: no rows in xx"):
        prepare([rows_file], tmp_path / "other", langs=("de", "xx"), show_progress=False)
    with pytest.raises(InputError, match="langs: no rows in xx; there are: ar, de, en, hi, zh"):
        prepare([rows_file], tmp_path / "other", langs=("xx",), show_progress=False)
    assert not (tmp_path / "other").exists()


def test_checksum_depends_on_content_and_not_on_where_it_lies(tmp_path):
    rows = parallel_rows(3)
    first = prepare([write_jsonl(tmp_path / "a.jsonl", rows)], tmp_path / "1", show_progress=False)
    again = prepare([write_jsonl(tmp_path / "b.jsonl", rows)], tmp_path / "2", show_progress=False)
    rows[0]["query"] += "!"
    other = prepare([write_jsonl(tmp_path / "c.jsonl", rows)], tmp_path / "3", show_progress=False)
    assert first.checksum == again.checksum != other.checksum


def test_checksum_depends_on_negatives_and_scores(tmp_path):
    plain = parallel_rows(2)
    mined = [{**row, "negatives": ["one", "other"]} for row in plain]
    sets = [
        plain,
        mined,
        [{**row, "negatives": ["other", "one"]} for row in plain],
        [{**row, "scores": [3.0, 1.0, 2.0]} for row in mined],
        [{**row, "scores": [3.0, 2.0, 1.0]} for row in mined],
    ]
    checksums = {
        prepare([write_jsonl(tmp_path / f"{n}.jsonl", rows)], tmp_path / f"{n}", show_progress=False).checksum
        for n, rows in enumerate(sets)
    }
    assert len(checksums) == len(sets)


def test_groups_that_ask_the_same_question_are_one_component(tmp_path):
    """As Sentence Transformers' files repeat an anchor with each of its positives, one a line."""
    asked = ["Wer?", "Café?", "Wer?", unicodedata.normalize("NFD", "Café?"), "Was?"]
    rows = [{"group": n, "lang": "de", "query": query, "passage": f"p{n}"} for n, query in enumerate(asked)]
    found = prepare([write_jsonl(tmp_path / "rows.jsonl", rows)], tmp_path / "out", show_progress=False)
    who, cafe, again, composed, what = found.table.component.tolist()
    assert who == again
    assert cafe == composed
    assert len({who, cafe, what}) == 3
    assert found.table.pair_components.tolist() == [[[3]]]


def test_titles_stand_before_passages_and_decide_identity(tmp_path):
    rows = [
        {"group": "a", "lang": "de", "query": "q1", "passage": "p", "title": "T"},
        {"group": "b", "lang": "de", "query": "q2", "passage": "p", "title": "U"},
        {"group": "c", "lang": "de", "query": "q3", "passage": "p"},
        {"group": "d", "lang": "de", "query": "q4", "passage": "T p"},
    ]
    found = prepare([write_jsonl(tmp_path / "rows.jsonl", rows)], tmp_path / "out", show_progress=False)
    assert found.passages() == ["T p", "U p", "p", "T p"]
    a, b, c, d = found.table.component.tolist()
    assert a == d
    assert len({a, b, c}) == 3


def test_repeated_rows_are_named_by_file_and_line(tmp_path):
    first = write_jsonl(tmp_path / "a.jsonl", parallel_rows(3))
    second = write_jsonl(tmp_path / "b.jsonl", parallel_rows(2, first=2))
    with pytest.raises(InputError) as caught:
        prepare([first, second], tmp_path / "out", show_progress=False)
    message = str(caught.value)
    assert message.startswith("4 rows repeat")
    assert f"\n{second}:1 with the same passage (first at {first}:9)\n" in message
    assert message.count("(first at ") == 4
    rows = parallel_rows(2)
    rows.append({**rows[3], "query": "other?", "passage": "other"})
    with pytest.raises(InputError, match=r"1 rows repeat .*\n.*a\.jsonl:9 with another query \(first at .*:4\)"):
        prepare([write_jsonl(tmp_path / "a.jsonl", rows)], tmp_path / "out", show_progress=False)
    rows += [rows[0], *({"group": "g", "lang": "de", "query": "q", "passage": "p"} for _ in range(30))]
    with pytest.raises(
        InputError, match=r"31 rows repeat (.*\n)*.*:9 with another query .*\n(.*\n)*\.\.\. and 11 more\n"
    ):
        prepare([write_jsonl(tmp_path / "a.jsonl", rows)], tmp_path / "out", show_progress=False)


def test_further_passages_of_a_query_are_rows_of_its_group(tmp_path):
    rows = parallel_rows(3)
    rows.append({**rows[0], "passage": "noch einer"})
    found = prepare([write_jsonl(tmp_path / "a.jsonl", rows)], tmp_path / "out", show_progress=False)
    assert (len(found), found.table.groups, found.table.several) == (13, 3, True)
    assert found.table.component[12] == found.table.component[0]


def test_only_prepared_rows_are_replaced(tmp_path):
    rows = parallel_rows(3)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis: holds files other than prepared rows, which are kept"):
        prepare(rows, tmp_path / "thesis", show_progress=False)
    with pytest.raises(InputError, match=r"one\.txt: is a file; expected a folder"):
        prepare(rows, tmp_path / "thesis" / "one.txt", show_progress=False)
    assert (tmp_path / "thesis" / "one.txt").read_text() == "years of work"
    (tmp_path / "out").mkdir()
    assert len(prepare(rows, tmp_path / "out", show_progress=False)) == 12
    assert len(prepare(rows[:4], tmp_path / "out", show_progress=False)) == 4


def test_prepared_rows_say_what_they_are(tmp_path):
    found = prepare(parallel_rows(3), tmp_path / "out", show_progress=False)
    assert repr(found) == f"<Prepared: 12 rows, 3 groups, languages de, en, hi, zh, in {tmp_path / 'out'}>"


def test_bad_rows_and_bad_files(tmp_path):
    with pytest.raises(InputError, match="no rows given"):
        prepare([], tmp_path / "out")
    path = tmp_path / "rows.jsonl"
    path.write_text("{\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl:1: not a JSON object"):
        prepare([path], tmp_path / "out", show_progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.jsonl"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failing_half_way_leaves_the_old_folder(tmp_path, monkeypatch, error):
    path = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(3))
    old = prepare([path], tmp_path / "out", show_progress=False).checksum

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(prepare_module.RowTable, "from_numbers", fail)
    with pytest.raises(IsoglotError if isinstance(error, OSError) else KeyboardInterrupt):
        prepare([path], tmp_path / "out", show_progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "rows.jsonl"]
    assert open_prepared(tmp_path / "out").checksum == old


@pytest.mark.parametrize("name", ["meta.json", "rows.arrow", "component.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut"])
def test_a_damaged_folder_is_named(prepared, tmp_path, name, damage):
    folder = shutil.copytree(prepared.folder, tmp_path / "copy")
    whole = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage != "gone":
        (folder / name).write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"")
    with pytest.raises(InputError, match="copy"):
        open_prepared(folder)


def test_another_format_version(prepared, tmp_path):
    folder = shutil.copytree(prepared.folder, tmp_path / "copy")
    (folder / "meta.json").write_text('{"format": 0}')
    with pytest.raises(InputError, match="prepare` again"):
        open_prepared(folder)


def test_texts_that_an_encoder_reads_alike_are_one_passage(tmp_path):
    """Composed and decomposed letters are the same to every encoder, so neither may be the other's negative."""
    rows = [
        {"group": name, "lang": "vi", "query": name, "passage": unicodedata.normalize(form, "Hà Nội là thủ đô.")}
        for name, form in (("a", "NFC"), ("b", "NFD"))
    ]
    prepared = prepare(rows, tmp_path / "out", show_progress=False)
    assert len(set(prepared.table.component.tolist())) == 1
    assert prepared.column("passage") == [row["passage"] for row in rows]
    with pytest.raises(InputError, match="1 rows repeat the"):
        prepare([{**row, "group": "a", "query": "a"} for row in rows], tmp_path / "twice", show_progress=False)


def test_what_is_prepared_is_not_said_to_be_prepared_elsewhere(prepared, tmp_path, capsys):
    assert run(["data", "prepare", str(prepared.folder), "-o", str(tmp_path / "out")]) == 2
    assert f"{prepared.folder}: already prepared" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_several_passages_of_a_query_are_not_called_one(tmp_path):
    rows = [{"group": "a", "lang": "de", "query": "q", "passages": ["p", "r", "s"]}]
    facts = describe(prepare(rows, tmp_path / "out", show_progress=False))
    assert render(facts).startswith(
        "3 rows, 1 groups in 1 components (0 groups share a passage or question), 1 languages\n"
    )


def test_describe(tmp_path):
    rows = [
        {"group": "a", "lang": "de", "query": "12345", "passage": "p"},
        {"group": "a", "lang": "en", "query": "1", "passage": "pp"},
        {"group": "b", "lang": "de", "query": "12345", "passage": "p"},
        {"group": "c", "lang": "en", "query": "123", "passage": "pppp"},
    ]
    facts = describe(prepare([write_jsonl(tmp_path / "set.jsonl", rows)], tmp_path / "out", show_progress=False))
    assert {key: facts[key] for key in ("rows", "groups", "components", "groups_sharing_a_passage")} == {
        "rows": 4,
        "groups": 3,
        "components": 2,
        "groups_sharing_a_passage": 2,
    }
    assert (facts["repeated_queries"], facts["repeated_passages"]) == (1, 1)
    assert facts["datasets"] == {"set": 4}
    assert facts["pairs"] == {"de>en": 1, "en>de": 1}
    assert facts["languages"]["en"] == {
        "name": "English",
        "rows": 2,
        "query_characters": {"5": 1, "50": 2, "95": 2, "100": 3},
        "passage_characters": {"5": 2, "50": 3, "95": 3, "100": 4},
    }
    text = render(facts)
    assert "4 rows, 3 groups in 2 components (2 groups share a passage or question), 2 languages" in text
    assert "German (de)" in text
    assert json.loads(json.dumps(facts)) == facts


def test_a_name_that_a_terminal_would_obey_is_shown_escaped(tmp_path):
    row = {"group": "g", "query": "?", "dataset": "a\x1b[31m\u202eb"}
    text = "".join(json.dumps({**row, "lang": lang, "passage": f"passage {lang}"}) + "\n" for lang in ("de", "en"))
    (tmp_path / "rows.jsonl").write_text(text)
    said = render(describe(prepare([tmp_path / "rows.jsonl"], tmp_path / "p", show_progress=False)))
    assert "data sets: a\\x1b[31m\\u202eb (2 rows)" in said


def test_an_input_that_cannot_be_read_is_no_output_that_cannot_be_written(tmp_path, lock):
    path = write_jsonl(tmp_path / "rows.jsonl", parallel_rows(4))
    lock(path)
    for folder in (None, tmp_path / "prepared"):
        with pytest.raises(InputError, match=f"^{path}: cannot be read \\(Permission denied\\)$"):
            prepare(path, folder, show_progress=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_cache_that_cannot_be_written_says_how_to_move_it(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"cannot be written .*; set \$ISOGLOT_CACHE to a writable folder"):
        prepare(parallel_rows(4), show_progress=False)
