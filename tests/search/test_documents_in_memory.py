import json

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from datasets import Dataset

from isoglot import Searcher, build_index
from isoglot.cli import run
from isoglot.core.errors import InputError

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


def embed(texts, role):
    return [[text.count("e"), text.count("a"), 1] for text in texts]


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
