"""Vectors in float16 and in bytes are searched like those in float32, and what they lose is said."""

import json

import numpy as np
import pyarrow as pa
import pytest

from isoglot import build_index
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.search.filters.checking import checked_filter
from isoglot.search.index import stored_vectors
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import read_manifest
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.index.versions import prune, roll_back
from isoglot.search.searcher import Searcher
from isoglot.search.stores.named import open_place
from support.encoders import wide_encoder
from support.passages import some_passages, write_index
from support.rows import write_jsonl as write

SHORT = ["float16", "int8"]
_BYTES = {"float32": 4, "float16": 2, "int8": 1}


def stored(vectors, numbers):
    column = stored_vectors.to_column(np.asarray(vectors, np.float32), stored_vectors.vector_type(2, numbers))
    return column, stored_vectors.to_matrix(pa.table({"vector": column}))


def test_bytes_worked_by_hand():
    column, back = stored([[0.6, -0.8], [0.0, 0.0], [3.0, 1.0]], "int8")
    # .6 / .8 * 127 = 95.25; 1 / 3 * 127 = 42.33; a scale of each vector's own
    assert column.to_pylist() == [[95, -127], [0, 0], [127, 42]]
    length = np.hypot(95, 127)
    np.testing.assert_allclose(back[0], [95 / length, -127 / length], rtol=1e-6)
    assert back[1].tolist() == [0, 0]
    with pytest.raises(InputError, match="'int4': expected one of float32, float16, int8"):
        stored_vectors.vector_type(2, "int4")


def test_recall_worked_by_hand():
    """Directions far apart keep their order in both; in bytes those that are too close become one."""
    angles = np.radians([0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    table = pa.table({"vector": stored_vectors.to_column(vectors, stored_vectors.vector_type(2))})
    whole = {"recall": 1.0, "queries": 13, "passages": 13}
    assert stored_vectors.recall(table.to_batches(max_chunksize=5), 13, 2, "float16") == whole
    one = table.slice(0, 1).to_batches()
    assert stored_vectors.recall(one, 1, 2, "int8") == {"recall": 1.0, "queries": 1, "passages": 1}
    # One direction for all: ten of the eleven others are right, whichever are found at least nine of them are.
    same = np.tile([[1.0, 0.0]], (12, 1)) + np.linspace(0, 3.9e-3, 12)[:, None] * [[0.0, 1.0]]
    table = pa.table({"vector": stored_vectors.to_column(same, stored_vectors.vector_type(2))})
    assert 0.9 <= stored_vectors.recall(table.to_batches(), 12, 2, "int8")["recall"] < 1


@pytest.fixture(scope="module", params=SHORT)
def numbers(request):
    return request.param


@pytest.fixture(scope="module")
def made(tmp_path_factory, numbers):
    passages, vectors = some_passages()
    folder = write_index(tmp_path_factory.mktemp("short") / "i", passages, vectors, numbers=numbers)
    return folder, passages, vectors


def test_searched_like_float32(made, numbers):
    folder, passages, vectors = made
    index, exact = LanceIndex(folder), MemoryIndex(passages, vectors)
    atol = {"float16": 2e-3, "int8": 2e-2}[numbers]
    where = checked_filter("year >= 2004 AND tags = 't1'", index.fields())
    for query in np.random.default_rng(1).normal(size=(20, vectors.shape[1])).astype(np.float32):
        unit = query / np.linalg.norm(query)
        for langs, only in ((None, None), (["de", "zh"], None), (None, where), (["en"], where)):
            found, right = index.nearest(unit, 12, langs, only), exact.nearest(unit, 12, langs, only)
            assert len(found) == len(right)
            scores = [hit.score for hit in found]
            assert scores == sorted(scores, reverse=True)
            np.testing.assert_allclose(scores, [hit.score for hit in right], atol=atol)
            own = {passage.id: float(vector @ unit) for passage, vector in zip(passages, vectors, strict=True)}
            np.testing.assert_allclose(scores, [own[hit.passage.id] for hit in found], atol=atol)
    assert [hit.passage for hit in index.matching("Fluss", 5)] == [
        hit.passage for hit in LanceIndex(folder).matching("Fluss", 5)
    ]
    passage, vector = index.passage(passages[3].id)
    assert passage.id == passages[3].id
    np.testing.assert_allclose(vector, vectors[3], atol=atol)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    # Read into memory, as `memory:` does, it gives the same cosines.
    there = open_place(f"memory:{folder}").index
    for vector in vectors[:5]:
        ours, theirs = index.nearest(vector, 9), there.nearest(vector, 9)
        np.testing.assert_allclose([hit.score for hit in ours], [hit.score for hit in theirs], atol=2e-3)
    assert index.sample("de").dtype == np.float32


@pytest.mark.parametrize("in_memory", [True, False])
def test_equal_cosines_keep_the_order_of_the_table(tmp_path, monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.setattr("isoglot.search.index.vectors_in_memory.MOST_BYTES", 0)
        monkeypatch.setattr("isoglot.search.index.scanning._BATCH", 2)  # the best are chosen several times
    passages, vectors = some_passages()
    index = LanceIndex(write_index(tmp_path / "i", passages, vectors, numbers="int8"))
    ones = np.ones(index.dimension, np.float32)
    assert [hit.passage.id for hit in index.nearest(ones, 3)] == [
        passage.id for passage in passages if passage.id.endswith("clock 0#1")
    ]
    assert index.nearest(ones, 0, ["xx"]) == []


def test_built_updated_rolled_back_and_pruned(tmp_path, numbers, capsys):
    docs = write(tmp_path / "d.jsonl", [{"id": f"d{n}", "text": f"Text {n} über {n * n}"} for n in range(60)])
    folder, model = tmp_path / "i", str(wide_encoder())
    command = ["index", str(docs), "-o", str(folder), "--model", model, "--ann-from", "50"]
    assert run([*command, "--numbers", numbers]) == 0
    said = capsys.readouterr().out
    manifest = read_manifest(folder)
    figure = manifest.version.recall
    assert manifest.numbers == numbers
    assert 0.8 <= figure["recall"] <= 1
    assert figure["passages"] == figure["queries"] == 60
    assert f"vectors in {numbers}: recall@10 {figure['recall']:.3f} against float32 (60 queries among 60" in said
    assert (manifest.version.ann is None) == (numbers == "int8")
    column = LanceIndex(folder)._table.schema.field("vector").type
    assert column.value_type.bit_width == 8 * _BYTES[numbers]
    more = write(tmp_path / "m.jsonl", [{"id": "e", "text": "etwas ganz Neues"}])
    assert run(["index", str(more), "-o", str(folder), "--update", "--model", model]) == 0
    # One more passage says less of recall than sixty did.
    assert read_manifest(folder).version.recall == figure
    other = "int8" if numbers == "float16" else "float32"
    assert run(["index", str(more), "-o", str(folder), "--update", "--numbers", other]) == 2
    assert f"--numbers {other}: the index keeps its vectors in {numbers}" in capsys.readouterr().err
    assert run(["index", str(docs), str(more), "-o", str(tmp_path / "full"), "--model", model]) == 0
    searcher, full = Searcher.open(folder, model), Searcher.open(tmp_path / "full", model)
    for mode in ("dense", "hybrid"):
        for fair in ("none", "balanced"):
            found, right = (
                {hit.id for hit in each.search("Text 7", k=10, mode=mode, fair=fair)} for each in (searcher, full)
            )
            assert len(found & right) >= 8, (mode, fair)
    capsys.readouterr()
    assert run(["index", "-o", str(folder), "--versions", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["numbers"], told["versions"][1]["recall"]) == (numbers, figure)
    assert run(["index", "-o", str(folder), "--versions"]) == 0
    assert capsys.readouterr().out.count(f"vectors in {numbers}: recall@10") == 2
    roll_back(folder, 1)
    assert LanceIndex(folder).passage("e") is None
    roll_back(folder, 2)
    assert prune(folder, 1).removed == [1]
    assert LanceIndex(folder).passage("e")[0].text == "etwas ganz Neues"


def test_only_indexes_in_other_numbers_say_so(tmp_path):
    docs = [{"id": "a", "text": "eins"}]
    build_index(docs, tmp_path / "i", lambda texts, role: [[1.0, 0.0]] * len(texts))
    written = json.loads((tmp_path / "i" / "isoglot-index.json").read_text())
    assert "numbers" not in written
    assert "recall" not in written["versions"][0]
    build_index(docs, tmp_path / "j", lambda texts, role: [[1.0, 0.0]] * len(texts), numbers="int8")
    assert json.loads((tmp_path / "j" / "isoglot-index.json").read_text())["numbers"] == "int8"
