"""Indexes whose vectors are in float16 or in bytes, pushed, pulled, built in an object store, and exported."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("moto")

from isoglot.cli import run
from isoglot.search.filters.checking import checked_filter
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import read_manifest
from isoglot.search.replicas.place import Place
from isoglot.search.replicas.pulling import pull
from isoglot.search.replicas.snapshot import pushed
from isoglot.search.searcher import Searcher
from isoglot.search.stores.export import export_index
from isoglot.search.stores.named import open_place
from support.copies import contents
from support.databases import DATABASES, database_place
from support.encoders import wide_encoder
from support.object_store import BUCKET, reach
from support.passages import some_passages, write_index
from support.rows import write_jsonl as write


@pytest.fixture(params=["float16", "int8"])
def numbers(request):
    return request.param


@pytest.fixture
def store(endpoint, tmp_path, monkeypatch):
    reach(monkeypatch.setenv, endpoint)
    monkeypatch.setenv("ISOGLOT_CACHE", str(tmp_path / "cache"))


def found(searcher, query, **how):
    return [(hit.id, round(hit.score, 6)) for hit in searcher.search(query, k=9, **how)]


def texts(path, first, last):
    return str(write(path, [{"id": f"d{n}", "text": f"Text {n} über {n * n}"} for n in range(first, last)]))


def test_pushed_and_pulled(store, tmp_path, numbers, capsys):
    """What is pulled has the same bytes and finds the same; an update sends and fetches what it adds."""
    docs, more = texts(tmp_path / "d.jsonl", 0, 60), texts(tmp_path / "m.jsonl", 60, 63)
    folder, address, model = str(tmp_path / "i"), f"s3://{BUCKET}/pushed-{numbers}", str(wide_encoder())
    assert run(["index", docs, "-o", folder, "--model", model, "--numbers", numbers, "--ann-from", "50"]) == 0
    assert run(["push", folder, address]) == 0
    replica = Searcher.open(address, model)
    for add in (False, True):
        if add:
            assert run(["index", more, "-o", folder, "--model", model, "--update"]) == 0
            capsys.readouterr()
            assert run(["push", folder, address, "--json"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert 0 < told["sent"] < len(pushed(Place.at(address)).files)
            replica = replica.renewed()
        capsys.readouterr()
        assert run(["pull", address, str(tmp_path / "here"), "--json"]) == 0
        pulled = Path(json.loads(capsys.readouterr().out)["folder"])
        assert contents(pulled) == contents(tmp_path / "i")
        assert read_manifest(pulled).numbers == numbers
        here = Searcher.open(folder, model)
        for how in ({}, {"mode": "hybrid"}, {"fair": "balanced"}):
            assert found(replica, "Text 7", **how) == found(here, "Text 7", **how)
    assert replica.version == 2
    assert "d61" in {hit.document for hit in replica.search("61", mode="lexical")}


def test_built_and_updated_in_an_object_store(store, tmp_path, numbers, capsys):
    docs, more = texts(tmp_path / "d.jsonl", 0, 40), texts(tmp_path / "m.jsonl", 40, 44)
    address, model, local = f"s3://{BUCKET}/built-{numbers}", str(wide_encoder()), ["--local", str(tmp_path / "work")]
    assert run(["index", docs, "-o", address, "--model", model, "--numbers", numbers, *local]) == 0
    assert f"vectors in {numbers}: recall@10" in capsys.readouterr().out
    # From a machine that has never seen the index: what there is is fetched, in the numbers that it has.
    elsewhere = ["--local", str(tmp_path / "another machine")]
    other = "int8" if numbers == "float16" else "float32"
    assert run(["index", more, "-o", address, "--update", "--numbers", other, *elsewhere]) == 2
    assert f"the index keeps its vectors in {numbers}" in capsys.readouterr().err
    assert run(["index", more, "-o", address, "--update", "--delete", "d3", *elsewhere]) == 0
    pulled = pull(Place.at(address), tmp_path / "pulled").folder
    assert run(["index", docs, "-o", str(tmp_path / "i"), "--model", model, "--numbers", numbers]) == 0
    assert run(["index", more, "-o", str(tmp_path / "i"), "--update", "--delete", "d3"]) == 0
    one, other = ({p.id: v for ps, vs in LanceIndex(at).batches() for p, v in zip(ps, vs, strict=True)}
                  for at in (pulled, tmp_path / "i"))  # fmt: skip
    assert one.keys() == other.keys() == {f"d{n}" for n in range(44) if n != 3}
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", DATABASES)
def test_exported(kind, tmp_path, numbers):
    """A database gets unit vectors, finds what the folder finds, and is sent nothing twice, whatever the batch."""
    passages, vectors = some_passages()
    folder, place = write_index(tmp_path / "i", passages, vectors, numbers=numbers), database_place(kind, tmp_path)
    done = export_index(folder, place, batch=20)
    assert (done.added, done.passages) == (72, 72)
    again = export_index(folder, place, batch=64)
    assert (again.unchanged, again.added, again.replaced, again.removed) == (72, 0, 0, 0)
    ours, theirs = LanceIndex(folder), open_place(place).index
    where = checked_filter("year >= 2004", ours.fields())
    for query in np.random.default_rng(1).normal(size=(10, vectors.shape[1])).astype(np.float32):
        for langs, only in ((None, None), (["de"], None), (None, where)):
            right, hits = ours.nearest(query, 12, langs, only), theirs.nearest(query, 12, langs, only)
            # A column of float16 is searched with a query of float16.
            atol = 1e-5 if numbers == "int8" else 2e-3
            np.testing.assert_allclose([h.score for h in hits], [h.score for h in right], atol=atol)
            if numbers == "int8":
                assert {h.passage.id for h in hits[:11]} <= {h.passage.id for h in right}
    passage, vector = theirs.passage(passages[3].id)
    assert passage == passages[3]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(vector, ours.passage(passages[3].id)[1], atol=1e-6)
    theirs.close()
    # Without three passages, and one of them another: only these are moved.
    turned = vectors.copy()
    turned[5] = turned[5][::-1]
    write_index(folder, passages[3:], turned[3:], numbers=numbers, versions=ours.manifest.versions)
    done = export_index(folder, place)
    assert (done.added, done.replaced, done.unchanged, done.removed) == (0, 1, 68, 3)
