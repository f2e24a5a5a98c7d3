"""Rows as users have them: whatever holds the same rows is prepared the same."""

import io
import itertools
import json
import os
import time
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import isoglot.data.prepared
from isoglot.core.errors import InputError
from isoglot.data.prepared import prepare
from isoglot.data.rows import Row
from support.rows import parallel_rows, write_jsonl

ROWS = [{**row, "negatives": ["nein", "no"]} if row["lang"] == "de" else row for row in parallel_rows(3)]
FULL = [{**row, "negatives": row.get("negatives", [])} for row in ROWS]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rows"


def contents(prepared):
    names = ["dataset", "group", "lang", "query", "passage", "negatives"]
    return list(zip(*(prepared.column(name) for name in names), strict=True))


@pytest.mark.parametrize(
    "given",
    [
        lambda: ROWS,
        lambda: tuple(ROWS),
        lambda: (row for row in ROWS),
        lambda: [Row(**{**row, "negatives": tuple(row["negatives"])}) for row in FULL],
        lambda: {name: [row.get(name) for row in ROWS] for name in FULL[0]},
        lambda: pa.Table.from_pylist(ROWS),
        lambda: pa.Table.from_pylist(ROWS).to_reader(max_chunksize=5),
        lambda: pd.DataFrame(ROWS),
        lambda: pl.DataFrame(ROWS),
        lambda: datasets.Dataset.from_list(FULL),
        lambda: datasets.Dataset.from_list(FULL).to_iterable_dataset(),
    ],
    ids=["list", "tuple", "generator", "rows", "columns", "table", "reader", "pandas", "polars", "dataset", "stream"],
)
def test_every_kind_of_rows_is_prepared_alike(tmp_path, given, cache):
    expected = prepare(write_jsonl(tmp_path / "rows.jsonl", ROWS), tmp_path / "expected", show_progress=False)
    found = prepare(given(), show_progress=False)
    assert contents(found) == contents(expected)
    assert found.checksum == expected.checksum
    assert found.folder.parent == cache
    made = (found.folder / "meta.json").stat().st_mtime_ns
    again = prepare(given(), show_progress=False)
    assert again.folder == found.folder
    assert (again.folder / "meta.json").stat().st_mtime_ns == made
    assert [path.name for path in cache.iterdir()] == [found.folder.name]


def test_paths_globs_and_prepared_folders(tmp_path, monkeypatch):
    one = write_jsonl(tmp_path / "a1.jsonl", ROWS[:6])
    two = write_jsonl(tmp_path / "a2.jsonl", ROWS[6:])
    expected = contents(prepare([one, two], show_progress=False))
    assert contents(prepare(str(tmp_path / "a?.jsonl"), show_progress=False)) == expected
    assert contents(prepare([str(one), tmp_path / "a2*"], show_progress=False)) == expected
    assert len(prepare(one, show_progress=False)) == 6
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    assert contents(prepare(tmp_path / "rows.parquet", show_progress=False)) == expected
    folder = tmp_path / "prepared"
    prepared = prepare([one, two], folder, show_progress=False)
    for given in (prepared, folder, str(folder), [folder]):
        assert prepare(given).folder == folder
    with pytest.raises(InputError, match="prepare again from row files"):
        prepare(folder, langs=["de"])
    with pytest.raises(InputError, match="no file matches this pattern"):
        prepare(tmp_path / "b*.jsonl")
    # A file whose name holds the signs of a pattern is that file.
    odd = write_jsonl(tmp_path / "a[1].jsonl", ROWS[:4])
    assert len(prepare(odd, show_progress=False)) == 4


def test_the_cache_knows_content_names_and_languages(tmp_path, cache):
    bare = [{key: value for key, value in row.items() if key != "dataset"} for row in ROWS]
    path = write_jsonl(tmp_path / "one.jsonl", bare)
    first = prepare(path, show_progress=False)
    assert first.table.datasets == ("one",)
    (tmp_path / "elsewhere").mkdir()
    assert prepare(path.rename(tmp_path / "elsewhere" / "one.jsonl"), show_progress=False).folder == first.folder
    renamed = prepare((tmp_path / "elsewhere" / "one.jsonl").rename(tmp_path / "two.jsonl"), show_progress=False)
    assert renamed.table.datasets == ("two",)
    german = prepare(tmp_path / "two.jsonl", langs="DE, en", show_progress=False)
    assert german.table.languages == ("de", "en")
    assert prepare(tmp_path / "two.jsonl", langs=("en", "de"), show_progress=False).folder == german.folder
    assert len(list(cache.iterdir())) == 3
    # What was damaged there is made again.
    (first.folder / "meta.json").write_text("{")
    write_jsonl(tmp_path / "one.jsonl", bare)
    assert contents(prepare(tmp_path / "one.jsonl", show_progress=False)) == contents(first)
    assert prepare(bare, show_progress=False).table.datasets == ("rows",)


def test_rows_that_another_process_prepared_meanwhile_stay(cache, monkeypatch):
    """Its training reads them from these files until it ends."""
    cached, looks, made = isoglot.data.prepared._cached, itertools.count(), []

    def meanwhile(place):
        found = cached(place)
        if next(looks) == 1:  # the first look was before preparing
            made.append(prepare(ROWS, show_progress=False).folder.stat().st_ino)
        return found

    monkeypatch.setattr("isoglot.data.prepared._cached", meanwhile)
    assert prepare(ROWS, show_progress=False).folder.stat().st_ino == made[0]
    assert len(list(cache.iterdir())) == 1


def test_what_a_killed_preparation_left_in_the_cache_is_removed_after_a_day(cache):
    now = time.time()
    for name, age in ((".killed.tmp", 86500), (".running.tmp", 86500), (".recent.tmp", 80000)):
        (cache / name).mkdir(parents=True)
        (cache / name / "rows.arrow").write_text("")
        os.utime(cache / name / "rows.arrow", (now, now - (0 if name == ".running.tmp" else age)))
        os.utime(cache / name, (now, now - age))
    place = prepare(ROWS, show_progress=False).folder
    assert {path.name for path in cache.iterdir()} == {".running.tmp", ".recent.tmp", place.name}


def test_errors_name_rows_and_leave_no_folder(cache):
    rows = [dict(row) for row in ROWS]
    del rows[1]["passage"]
    rows[4]["lang"] = "Klingonisch!"
    with pytest.raises(InputError) as caught:
        prepare(iter(rows), show_progress=False)
    for words in ("2 problems", "row 2: field 'passage' is missing", "row 5: field 'lang'"):
        assert words in str(caught.value)
    with pytest.raises(InputError, match=r"row 13 with the same passage \(first at row 1\)"):
        prepare([*ROWS, ROWS[0]], show_progress=False)
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "no rows given"),
        (iter(()), "no rows given"),
        (pd.DataFrame(), "no rows: "),
        (pd.DataFrame(ROWS)[:0], "no rows: "),
        (pa.Table.from_pylist(ROWS)[:0], "no rows: "),
        (pl.DataFrame(ROWS).lazy(), r"given as LazyFrame; give its frame, with `\.collect\(\)`"),
        (io.StringIO("{}"), "given as StringIO; give the path of the file"),
        (
            datasets.DatasetDict({"train": datasets.Dataset.from_list(FULL)}),
            r"given as DatasetDict; give one of its splits \(train\), such as data\['train'\]",
        ),
        (7, "given as int; expected row files"),
        ([1, 2], "given as list of int"),
        ({"group": 1, "lang": "de"}, "no table of columns"),
        (pa.table({"group": ["a"], "text": ["b"]}), "no column lang, query, passage; the columns are: group, text"),
        (pd.DataFrame({"group": [1], "lang": ["de"], "query": ["q"]}), "no column passage"),
        (Path("nowhere.jsonl"), "no such file"),
        ([ROWS[0], "rows.jsonl"], "row 2: expected a JSON object, got str"),
    ],
    ids=range(15),
)
def test_what_is_no_rows_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        prepare(given, show_progress=False)


def test_numbers_of_a_frame_are_names_of_groups():
    frame = pd.DataFrame([{**row, "group": int(row["group"].split("-")[1])} for row in parallel_rows(2)])
    assert set(prepare(frame, show_progress=False).column("group")) == {"0", "1"}
    records = frame.to_dict("records")
    records[0]["group"] = frame["group"].to_numpy()[0]
    assert set(prepare(records, show_progress=False).column("group")) == {"0", "1"}


def test_numbered_groups_may_be_the_index_of_a_frame():
    """Arrow leaves out an index of consecutive numbers."""
    frame = pd.DataFrame([{**row, "group": number} for number, row in enumerate(parallel_rows(2))]).set_index("group")
    assert prepare(frame, show_progress=False).column("group") == [str(number) for number in frame.index]


def test_records_of_a_frame_are_what_the_frame_is():
    """What is missing is NaN in a record, and numbers are NumPy's."""
    frame = pd.DataFrame([{**row, "title": "Alps"} if number else row for number, row in enumerate(parallel_rows(2))])
    frame["negatives"] = [["no", "none"]] * len(frame)
    records = [{**record, "scores": list(np.float32([1, 0.5, 0]))} for record in frame.to_dict("records")]
    assert records[0]["title"] != records[0]["title"]
    made = prepare(records, show_progress=False)
    frame["scores"] = [[1.0, 0.5, 0.0]] * len(frame)
    assert made.column("title") == [None] + ["Alps"] * (len(frame) - 1)
    assert made.checksum == prepare(frame, show_progress=False).checksum


def test_what_is_read_once_is_read_once(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    with path.open() as lines:
        stream = map(json.loads, lines)
        assert len(prepare(stream, show_progress=False)) == len(ROWS)
