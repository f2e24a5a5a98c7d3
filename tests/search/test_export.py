import json
import pkgutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import center, csls
from isoglot.languages.words import search_terms
from isoglot.search.index.about import About
from isoglot.search.index.building import build_index
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.search.stores import export, term_weights
from isoglot.search.stores.export import export_index
from isoglot.search.stores.named import open_place, register_store
from isoglot.search.stores.protocol import Opened
from support.databases import DATABASES, database_place
from support.passages import DIMENSION, assert_words_score_as_in_memory, some_passages, write_index


@pytest.fixture(params=DATABASES)
def place(request, tmp_path):
    return database_place(request.param, tmp_path)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return write_index(tmp_path_factory.mktemp("export") / "i", *some_passages())


def counts(done):
    return done.added, done.replaced, done.unchanged, done.removed, done.passages


def test_words_score_as_in_memory(index, place):
    """BM25 as a product of sparse vectors is BM25, over all passages also where only one language is searched."""
    export_index(index, place)
    there = open_place(place).index
    assert_words_score_as_in_memory(there)
    there.close()


def test_an_export_sends_everything_again_if_terms_are_made_otherwise(index, place, monkeypatch):
    monkeypatch.setattr(export, "_TERMS", 1)
    export_index(index, place)
    monkeypatch.undo()
    assert counts(export_index(index, place)) == (0, 72, 0, 0, 72)
    assert counts(export_index(index, place)) == (0, 0, 72, 0, 72)


def test_an_export_made_before_compounds_is_searched_without(place, tmp_path, monkeypatch):
    """C++ is found as C there, until the index is exported again."""
    texts = {"plus": "Written in C++", "sharp": "Written in C#", "mail": "Sent by E-Mail"}
    passages = [Passage(key, key, text, "en") for key, text in texts.items()]
    index = write_index(tmp_path / "i", passages, np.eye(3, DIMENSION, dtype=np.float32))

    def found(query):
        there = open_place(place).index
        keys = {one.passage.id for one in there.matching(query, 9)}
        there.close()
        return keys

    to_text = About.to_text
    with monkeypatch.context() as before:
        before.setattr(export, "_TERMS", 2)
        before.setattr(term_weights, "search_terms", partial(search_terms, signs=False))
        before.setattr(About, "to_text", lambda self: to_text(self).replace(', "signs": true', ""))
        export_index(index, place)
    assert (found("C++"), found("email")) == ({"plus", "sharp"}, set())
    assert counts(export_index(index, place)) == (0, 3, 0, 0, 3)
    assert (found("C++"), found("email")) == ({"plus"}, {"mail"})


def test_an_export_that_was_stopped_goes_on(index, place, monkeypatch):
    kind = place.partition(":")[0]
    writer = {
        "milvus": "milvus_writer.MilvusWriter",
        "opensearch": "opensearch_writer.OpenSearchWriter",
        "qdrant": "qdrant_writer.QdrantWriter",
    }[kind]
    put, batches = pkgutil.resolve_name(f"isoglot.search.stores.{writer}").put, []

    def twice(self, passages, digests, vectors):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(len(passages))
        put(self, passages, digests, vectors)

    with monkeypatch.context() as patch:
        patch.setattr(f"isoglot.search.stores.{writer}.put", twice)
        with pytest.raises(KeyboardInterrupt):
            export_index(index, place, batch=20)
    with pytest.raises(InputError, match="its export was not finished; run the same `isoglot export` command again"):
        open_place(place)
    assert counts(export_index(index, place, batch=20)) == (32, 0, 40, 0, 72)
    assert counts(export_index(index, place)) == (0, 0, 72, 0, 72)
    assert counts(export_index(index, place, overwrite=True)) == (72, 0, 0, 0, 72)


def test_an_export_after_an_update_moves_what_changed(tmp_path, place):
    passages, vectors = some_passages()
    folder = write_index(tmp_path / "i", passages, vectors)
    export_index(folder, place)
    turned = vectors.copy()
    turned[5] = turned[5][::-1]
    turned = turned[3:]
    write_index(folder, passages[3:], turned, versions=open_place(folder).index.manifest.versions)
    done = export_index(folder, place)
    assert (done.version, *counts(done)) == (2, 0, 1, 68, 3, 69)
    opened = open_place(place)
    assert opened.version == 2
    assert opened.index.nearest(turned[2], 1)[0].passage == passages[5]
    assert opened.index.document(passages[0].document) == []
    opened.index.close()


def test_another_encoders_collection_is_left_alone_but_replaced_on_demand(index, tmp_path, place):
    other = write_index(tmp_path / "other", *some_passages(2), probe=np.eye(3, DIMENSION)[::-1].tolist(), model="else")
    export_index(index, place)
    with pytest.raises(InputError, match=r"vectors of hand, and those of else differ; .*`overwrite`"):
        export_index(other, place)
    assert counts(export_index(other, place, overwrite=True)) == (12, 0, 0, 0, 12)
    opened = open_place(place)
    assert (opened.about.model, opened.about.length, opened.about.options) == ("else", 64, {})
    opened.index.close()


def test_a_collection_that_is_not_ours_is_never_touched(index, tmp_path):
    place = database_place("qdrant", tmp_path)
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(tmp_path / "q"))
    client.create_collection("isoglot", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    client.upsert("isoglot", points=[models.PointStruct(id=1, vector=[1, 2], payload={"theirs": True})])
    client.close()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="was not made by `isoglot export`; name another one"):
            export_index(index, place, overwrite=overwrite)
    with pytest.raises(InputError, match="was not made by"):
        open_place(place)
    client = QdrantClient(path=str(tmp_path / "q"))
    assert client.count("isoglot").count == 1
    with pytest.raises(InputError, match="another process has this folder open"):
        open_place(place)
    client.close()


def test_a_correction_travels_with_the_index(tmp_path, place):
    def embed(texts, role):
        return [[len(text), text.count("e") + 1, text.count("a") + 1, 1.0] for text in texts]

    rows = [{"id": f"{lang}{n}", "lang": lang, "text": f"{word} {n} {'a' * n}"} for lang, word in
            (("de", "der Berg"), ("en", "a mountain")) for n in range(6)]  # fmt: skip
    vectors = np.asarray(embed([row["text"] for row in rows], "passage"), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fitted = center([Sample(vectors, [row["lang"] for row in rows], "passage")], model="embed")
    fitted.save(tmp_path / "debias.npz")
    build_index(rows, tmp_path / "i", embed, debias=tmp_path / "debias.npz")
    export_index(tmp_path / "i", place)
    with Searcher.open(tmp_path / "i", embed) as local, Searcher.open(place, embed) as moved:
        for query in ("Berg", "eine Maus", "a a a"):
            expected = local.search(query, k=12, query_lang="de")
            hits = moved.search(query, k=12, query_lang="de")
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-5)
            plain = Searcher(open_place(tmp_path / "i").index, embed).search(query, k=12)
            assert [hit.score for hit in plain] != pytest.approx([hit.score for hit in expected], abs=1e-3)


def test_vectors_of_another_correction_never_come_beside_those_that_are_there(tmp_path, place):
    """Not of the same width, nor of another: an export that is stopped would leave a mixture."""
    rows = [{"id": f"{lang}{n}", "lang": lang, "text": f"{lang} {n}"} for lang in ("de", "en") for n in range(4)]

    def embed(texts, role):
        return [[len(text), sum(map(ord, text)) % 7 + 1, 1.0, 2.0] for text in texts]

    vectors = np.asarray(embed([row["text"] for row in rows], "passage"), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    langs = [row["lang"] for row in rows]
    samples = [Sample(vectors, langs, "passage"), Sample(vectors, langs, "query")]
    build_index(rows, tmp_path / "none", embed)
    for name, fitted in (("center", center(samples)), ("csls", csls(samples, neighbours=2))):
        fitted.save(tmp_path / f"{name}.npz")
        build_index(rows, tmp_path / name, embed, debias=tmp_path / f"{name}.npz")
    export_index(tmp_path / "center", place)
    for name in ("none", "csls"):
        with pytest.raises(InputError, match=r"another correction of language bias \(center, .*`overwrite`"):
            export_index(tmp_path / name, place)
    assert counts(export_index(tmp_path / "center", place)) == (0, 0, 8, 0, 8)
    assert counts(export_index(tmp_path / "csls", place, overwrite=True))[0] == 8
    opened = open_place(place)
    assert opened.about.is_like(About.from_text(opened.about.to_text(), "there"))
    assert not opened.about.is_like(replace(opened.about, debias=None))
    opened.index.close()


@pytest.fixture
def shelf():
    """A writer of twenty lines, registered as `shelf:`: dictionaries that live as long as the test."""
    kept, about_of = {}, []

    class Shelf:
        def __init__(self, rest, about, overwrite):
            about_of.append(about)
            if overwrite:
                kept.clear()

        def held(self):
            return {key: digest for key, (_, digest, _) in kept.items()}

        def put(self, passages, digests, vectors):
            kept.update({p.id: (p, d, v) for p, d, v in zip(passages, digests, vectors, strict=True)})

        def remove(self, ids):
            for key in ids:
                kept.pop(key, None)

        def finish(self):
            return len(kept)

        def close(self):
            pass

    def open_shelf(rest):
        passages, _, vectors = zip(*kept.values(), strict=True)
        return Opened(MemoryIndex(passages, np.stack(vectors)), about_of[-1])

    register_store("shelf", open_shelf, write=Shelf)
    return Shelf, kept


def test_any_store_can_be_written_through_the_protocol_and_wrong_counts_are_told(index, shelf):
    kind, kept = shelf
    kept["stale"] = (None, "x", None)
    assert counts(export_index(index, "shelf:a")) == (72, 0, 0, 1, 72)
    opened = open_place("shelf:a")
    assert opened.index.languages() == {"de": 24, "en": 24, "zh": 24}
    # Title 2, the repeated word 2 in the mean, the other word and the number 1 each; a Chinese word of two signs
    # is three terms and one of three is five: (6 + 6 + 2 + 7 + 3 + 1) / 3. Beginnings of `titel` in each of the 72, of
    # repeated words 26 in German and 34 in English, of other words 12 and 24: 7 / 3 more.
    assert opened.about.mean_terms == pytest.approx(32 / 3)
    kind.finish = lambda self: 71
    with pytest.raises(IsoglotError, match="shelf:a: 71 passages are there, but the index has 72"):
        export_index(index, "shelf:a")


def test_an_export_that_slept_while_a_newer_version_was_exported_fails(tmp_path, shelf, monkeypatch):
    """It puts its own passages over the newer ones, as many as there were."""
    kind, kept = shelf
    passages, vectors = some_passages()
    older = write_index(tmp_path / "i", passages, vectors)
    newer = write_index(tmp_path / "j", [replace(each, text=f"{each.text} neu") for each in passages], vectors)
    put, finished = kind.put, []
    with monkeypatch.context() as patch:

        def sleeps(self, *what):
            patch.setattr(kind, "put", put)
            put(self, *what)
            export_index(newer, "shelf:a")

        patch.setattr(kind, "put", sleeps)
        patch.setattr(kind, "finish", lambda self: finished.append(1) or len(kept))
        with pytest.raises(IsoglotError, match="shelf:a: another export wrote there meanwhile"):
            export_index(older, "shelf:a", batch=20)
    assert len(finished) == 1
    assert counts(export_index(newer, "shelf:a")) == (0, 52, 20, 0, 72)


def test_the_command_exports_and_lists(index, place, tmp_path, capsys):
    for kind in DATABASES:
        database_place(kind, tmp_path)
    assert run(["export", str(index), place]) == 0
    out = capsys.readouterr().out
    assert "passages: 72 added" in out
    assert f"{place}: 72 passages, as in version 1" in out
    assert run(["export", str(index), place, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["unchanged"], told["passages"], told["place"]) == (72, 72, place)
    assert run(["search", place, "Fluss", "--mode", "lexical", "--langs", "de", "-k", "2"]) == 0
    assert capsys.readouterr().out.count("Fluss") >= 2
    assert run(["list", "stores"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{name}  " in listed for name in ("lance", "memory", "milvus", "opensearch", "qdrant"))
    for args, words in (
        (["export", str(index), "somewhere"], "the store 'lance' is read-only"),
        (["export", str(index), "qdrant://"], "expected qdrant://HOST:PORT/COLLECTION"),
        (["export", str(index), "milvus://"], "expected milvus://HOST:PORT/COLLECTION"),
        (["export", str(index), "opensearch://"], "expected opensearch://HOST:PORT/INDEX"),
        (["export", str(index), "weaviate://h/x"], "no store named 'weaviate'"),
        (["export", str(index), place, "--batch", "0"], "--batch 0: expected at least 1"),
        (["export", str(index / "none"), place], "no index there"),
        (["search", f"qdrant:{tmp_path / 'x'}", "Fluss"], "no Qdrant folder there"),
        (["search", f"milvus:{tmp_path / 'x.db'}", "Fluss"], "no file of Milvus Lite there"),
        (["export", str(index), "qdrant://127.0.0.1:9/x"], "no answer from http://127.0.0.1:9"),
        (["search", "qdrant://127.0.0.1:9/x", "Fluss"], "no answer from http://127.0.0.1:9"),
    ):
        assert run(args) == 2, args
        assert words in capsys.readouterr().err
