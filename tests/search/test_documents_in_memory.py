import io
import json
import warnings
from enum import Enum

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import Dataset, DatasetDict

from isoglot import Searcher, build_index
from isoglot.cli import run
from isoglot.core.errors import InputError
from support.copies import embed

NOTES = [
    {"id": "de", "lang": "de", "title": "Flut", "text": "Der Mond zieht das Meer an.", "year": 2020},
    {"id": "es", "lang": "es", "title": "Marea", "text": "La luna atrae el mar.", "year": 2021},
]
WAYS = {
    "list": lambda: NOTES,
    "generator": lambda: (dict(note) for note in NOTES),
    "arrow": lambda: pa.Table.from_pylist(NOTES),
    "pandas": lambda: pd.DataFrame(NOTES),
    "polars": lambda: pl.DataFrame(NOTES),
    "dataset": lambda: Dataset.from_list(NOTES),
}


def found(folder):
    hits = Searcher.open(folder, embed).search("Flut Marea", mode="lexical")
    return {hit.document: (hit.lang, hit.title, hit.text, dict(hit.metadata)) for hit in hits}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_index(way, tmp_path):
    built = build_index(WAYS[way](), tmp_path / "made" / "index", embed)
    assert (built.added, built.version.languages) == (2, {"de": 1, "es": 1})
    assert found(tmp_path / "made" / "index") == {
        note["id"]: (note["lang"], note["title"], note["text"], {"year": note["year"]}) for note in NOTES
    }


def test_an_update_goes_by_ids(tmp_path):
    build_index(NOTES, tmp_path, embed)
    changed = {**NOTES[0], "text": "Die Flut steigt zweimal am Tag."}
    built = build_index([changed, {"id": "en", "text": "The Flut rises."}], tmp_path, embed, update=True)
    assert (built.added, built.replaced, built.version.documents) == (1, 1, 3)
    assert found(tmp_path)["de"][2] == changed["text"]
    without = build_index([{"text": "of which document?"}], tmp_path, embed, update=True)
    assert not without.changed
    assert "documents:1: no id" in str(without.problems.shown)


def test_what_is_no_document_is_named_by_its_place(tmp_path):
    built = build_index([*NOTES, {"id": "x", "passages": "y"}, "text"], tmp_path, embed)
    assert built.added == 2
    assert [line.split(": ")[0] for line in built.problems.shown] == ["documents:3", "documents:4"]


@pytest.mark.parametrize("given", [[], 7, {"text": ["a"]}])
def test_what_holds_no_documents_is_refused(given, tmp_path):
    with pytest.raises(InputError, match=r"documents are given|nothing to index"):
        build_index(given, tmp_path / "index", embed)


def test_a_number_that_json_lacks_is_null(tmp_path, capsys):
    build_index([{"id": "a", "text": "Der Mond.", "size": float("nan")}], tmp_path, embed)
    assert dict(Searcher.open(tmp_path, embed).search("Mond", mode="lexical")[0].metadata) == {"size": None}
    assert run(["search", str(tmp_path), "Mond", "--mode", "lexical", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["metadata"] == {"size": None}


def test_numpys_values_are_those_of_a_frame(tmp_path):
    """As text, `True` would match no filter, and an array would be no list."""
    values = {
        "year": np.int32(2020),
        "seen": np.bool_(True),
        "tags": np.array(["a", "b"]),
        "size": {"cm": np.float32(3)},
    }
    missing = {"then": pd.NaT, "by": pd.NA}
    day = {"day": np.datetime64("2020-02-03T04:05:06", "ns")}
    build_index([{**NOTES[0], "id": np.int64(5), **values, **missing, **day}], tmp_path, embed)
    searcher = Searcher.open(tmp_path, embed)
    where = "year = 2020 AND seen = true AND tags = 'b' AND size.cm > 2 AND day < '2020-02-04'"
    hit = searcher.search("Flut", where=where)[0]
    assert hit.document == "5"
    assert dict(hit.metadata) == {
        "year": 2020, "seen": True, "tags": ["a", "b"], "size": {"cm": 3.0}, "then": None, "by": None,
        "day": "2020-02-03 04:05:06",
    }  # fmt: skip
    assert searcher.fields()["year"] == {"number"}


class Kind(Enum):
    NOTE = "note"
    PAGE = 2


def test_sets_and_members_of_enums_can_be_filtered(tmp_path):
    """A set as text would match no filter, and change its order, and so the document's hash, in every process."""
    marked = {"tags": {"tide", "moon"}, "levels": frozenset({2, 1}), "kind": Kind.NOTE, "other": [Kind.PAGE]}
    build_index([{**NOTES[0], **marked}], tmp_path, embed)
    hit = Searcher.open(tmp_path, embed).search("Flut", where="tags = 'moon' AND levels = 2 AND kind = 'note'")[0]
    assert dict(hit.metadata) == {
        "year": 2020, "tags": ["moon", "tide"], "levels": [1, 2], "kind": "note", "other": [2],
    }  # fmt: skip


def test_ids_in_the_index_of_a_frame_are_ids(tmp_path):
    """Arrow leaves out an index of consecutive numbers, named or not."""
    for number, ids in enumerate(([1, 2], [7, 3], ["x", "y"])):
        frame = pd.DataFrame([{**note, "id": id} for note, id in zip(NOTES, ids, strict=True)]).set_index("id")
        build_index(frame, tmp_path / str(number), embed)
        assert set(found(tmp_path / str(number))) == {str(id) for id in ids}


def test_a_build_warns_of_nothing_deprecated(tmp_path):
    """Programs that turn warnings into errors build indexes too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build_index(NOTES, tmp_path, embed).changed


def test_the_index_of_a_frame_is_no_field(tmp_path):
    """Filtering or shuffling a frame leaves an index that Arrow stores as a column."""
    frame = pd.DataFrame(NOTES, index=[7, 3])
    assert "__index_level_0__" in pa.Table.from_pandas(frame).column_names
    pa.parquet.write_table(pa.Table.from_pandas(frame), tmp_path / "notes.parquet")
    for number, given in enumerate((frame, Dataset.from_pandas(frame), tmp_path / "notes.parquet")):
        build_index(given, tmp_path / str(number), embed)
        assert found(tmp_path / str(number))["de"][3] == {"year": 2020}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (pd.Series(["a"]), "documents are given as Series, which is no table"),
        (pl.LazyFrame(NOTES), r"documents are given as LazyFrame; give its frame, with `.collect\(\)`"),
        (
            DatasetDict({"train": Dataset.from_list(NOTES)}),
            r"give one of its splits \(train\), such as data\['train'\]",
        ),
        (io.StringIO(json.dumps(NOTES[0])), "documents are given as StringIO; give the path of the file"),
    ],
)
def test_what_holds_documents_in_another_form_says_in_which(given, words, tmp_path):
    with pytest.raises(InputError, match=words):
        build_index(given, tmp_path / "index", embed)


def test_ids_to_delete_are_spelt_as_ids_of_documents_are(tmp_path):
    """An id that is a number becomes a text, so a number deletes the document that had it."""
    build_index([{"id": number, "text": f"Der Mond {number}."} for number in range(5)], tmp_path, embed)
    for number, ids in enumerate(([1], (np.int64(2),), pd.Series([3, 9])), 1):
        built = build_index([], tmp_path, embed, update=True, delete=ids)
        assert (built.deleted, built.version.documents) == (1, 5 - number)
    assert built.unknown == ("9",)
    for wrong in ([None], [0.5], "4", 4):
        with pytest.raises(InputError, match="delete: "):
            build_index([], tmp_path, embed, update=True, delete=wrong)


def test_a_block_closes_its_searcher(tmp_path):
    build_index(NOTES, tmp_path, embed)
    with Searcher.open(tmp_path, embed) as searcher:
        assert searcher.search("Flut", k=1)
    with pytest.raises(InputError, match="the index was closed; open it again"):
        searcher.search("Flut")
