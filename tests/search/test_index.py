import errno
import json
import os
import re
import shutil
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from isoglot import load
from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.executors import Here
from isoglot.core.output_folders import refuse_foreign
from isoglot.encoders.debias import Sample
from isoglot.encoders.debias_fits import center, fit
from isoglot.encoders.encoding import encode
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from isoglot.search.index import approximate, shards, store
from isoglot.search.index.building import build_index
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.lance_tables import connect, reason
from isoglot.search.index.ledger import Ledger
from isoglot.search.index.maintenance import settle
from isoglot.search.index.manifest import read_manifest
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.index.versions import roll_back
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from support.encoders import wide_encoder
from support.models import bert
from support.rows import write_jsonl as write
from support.serving import embed
from support.warm import exit_code_of

CAPITALS = [
    ("zh", "北京是中华人民共和国的首都", "首都"),
    ("th", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "เมืองหลวง"),
    ("ar", "القاهرة هي عاصمة مصر وأكبر مدنها", "عاصمة"),
    ("hi", "नई दिल्ली भारत की राजधानी है", "राजधानी"),
    ("de", "Berlin ist die Hauptstadt von Deutschland", "hauptstadt"),
    ("en", "Nairobi is the capital of Kenya", "capital"),
]


@pytest.fixture(scope="module")
def model():
    return load(str(wide_encoder()), device="cpu")


def capitals():
    return [{"id": f"{lang}-{n}", "lang": lang, "text": f"{text} {n}"} for lang, text, _ in CAPITALS for n in range(4)]


@pytest.fixture(scope="module")
def capital_index(tmp_path_factory, model):
    home = tmp_path_factory.mktemp("capitals")
    folder = home / "index"
    folder.mkdir()
    build_index([write(home / "docs.jsonl", capitals())], folder, model, name=str(wide_encoder()))
    return folder


def contents(folder):
    """What readers see: (document, text) of every passage, and the folded documents."""
    index = LanceIndex(folder)
    rows = index._table.to_arrow().select(["id", "document", "text"]).to_pylist()
    folded = connect(folder).open_table("folded")
    folded.checkout(index.manifest.version.folded_at)
    return sorted((row["document"], row["text"]) for row in rows), sorted(
        (row["document"], row["same_as"]) for row in folded.to_arrow().to_pylist()
    )


def test_stored_search_equals_exact_search(capital_index, model):
    stored = LanceIndex(capital_index)
    documents = capitals()
    passages = [Passage(d["id"], d["id"], d["text"], d["lang"]) for d in documents]
    exact = MemoryIndex(passages, encode(model, [d["text"] for d in documents], "passage").vectors)
    assert stored.languages() == exact.languages() == dict.fromkeys(sorted(lang for lang, *_ in CAPITALS), 4)
    for vector in encode(model, ["capital", "首都", "Berg"], "query").vectors:
        for langs in (None, ["de", "th"]):
            a, b = stored.nearest(vector, 7, langs), exact.nearest(vector, 7, langs)
            np.testing.assert_allclose([f.score for f in a], [f.score for f in b], atol=1e-5)
            assert {f.passage.id for f in a[:5]} <= {f.passage.id for f in b}
    assert stored.sample("de").shape == (4, stored.dimension)
    assert stored.sample("xx").shape == (0, stored.dimension)


@pytest.mark.parametrize(("lang", "text", "word"), CAPITALS)
def test_words_are_found_in_scripts_without_blanks(capital_index, lang, text, word):
    found = LanceIndex(capital_index).matching(word, 10)
    assert len(found) == 4
    assert {f.passage.lang for f in found} == {lang}
    assert LanceIndex(capital_index).matching(word, 10, ["en" if lang != "en" else "de"]) == []


def test_signs_and_quotes_are_no_query_language(capital_index):
    index = LanceIndex(capital_index)
    assert index.matching('!!! "', 5) == []
    assert index.matching('capital" OR (', 5)[0].passage.lang == "en"
    assert index.matching("Berlin", 5, ["de' OR 'a'='a"]) == []


def test_a_document_is_read_whole_and_in_order(tmp_path, model):
    long = " ".join(f"Satz Nummer {n} steht hier." for n in range(120))
    (tmp_path / "i").mkdir()
    docs = [{"id": "it's", "text": long, "lang": "de"}, {"id": "other", "text": "Kurz", "lang": "de"}]
    build_index([write(tmp_path / "d.jsonl", docs)], tmp_path / "i", model, name=str(wide_encoder()))
    index = LanceIndex(tmp_path / "i")
    read = index.document("it's")
    assert len(read) > 10
    assert " ".join(passage.text for passage in read).split() == long.split()
    assert [passage.text for passage in index.document("other")] == ["Kurz"]
    assert index.document("' OR 'a' = 'a") == []


def test_duplicates_fold_and_long_documents_split(tmp_path, model):
    long = " ".join(f"Satz Nummer {n} steht hier." for n in range(30))
    docs = write(
        tmp_path / "d.jsonl",
        [
            {"id": "one", "text": "Gleich", "lang": "de"},
            {"id": "two", "text": "Gleich", "lang": "de", "x": 1},
            {"id": "other", "text": "Gleich", "lang": "en"},
            {"id": "long", "title": "Titel", "text": long, "lang": "de", "year": 3},
            {"id": "one", "text": "Noch einmal dieselbe Kennung", "lang": "de"},
        ],
    )
    (tmp_path / "i").mkdir()
    built = build_index([docs], tmp_path / "i", model, name="m")
    assert (built.added, built.folded, built.version.documents) == (4, 1, 3)
    assert "'one' was there before" in built.problems.shown[0]
    _, folded = contents(tmp_path / "i")
    assert folded == [("two", "one")]
    parts = [found.passage for found in LanceIndex(tmp_path / "i").matching("Satz", 50)]
    assert len(parts) > 3
    assert {part.document for part in parts} == {"long"}
    assert {part.title for part in parts} == {"Titel"}
    assert parts[0].metadata == {"year": 3}
    assert "".join(sorted("".join(part.text for part in parts).replace(" ", ""))) == "".join(
        sorted(long.replace(" ", ""))
    )
    prompt = model.prompts["document"]
    for part in parts:
        assert len(model.tokenizer(f"{prompt}{part.title} {part.text}")["input_ids"]) <= 128


def test_an_update_stores_metadata_that_alone_changed(tmp_path, model):
    def built(year):
        row = {"id": "a", "text": "Text", "lang": "de", "year": year}
        return build_index([write(tmp_path / "a.jsonl", [row])], tmp_path / "i", model, name="m", update=year > 2000)

    built(2000)
    assert built(2001).replaced == 1
    assert built(2001).unchanged == 1
    assert not built(2001).changed


def test_update_adds_replaces_deletes_and_rolls_back(tmp_path, model):
    folder = tmp_path / "i"
    folder.mkdir()
    first = [{"id": str(n), "text": f"Text {n}", "lang": "de"} for n in range(6)]
    first += [{"id": "copy", "text": "Text 1", "lang": "de"}]
    build_index([write(tmp_path / "a.jsonl", first)], folder, model, name="m")
    old = LanceIndex(folder)
    changed = [
        {"id": "0", "text": "Text 0", "lang": "de"},  # as it was
        {"id": "1", "text": "Neuer Text", "lang": "de"},  # replaced; its duplicate takes its place
        {"id": "new", "text": "Hinzu", "lang": "en"},
    ]
    built = build_index(
        [write(tmp_path / "b.jsonl", changed)],
        folder,
        model,
        name="m",
        update=True,
        by_id=True,
        delete=["2", "3", "none"],
    )
    assert (built.added, built.replaced, built.deleted, built.unchanged) == (1, 1, 2, 1)
    passages, folded = contents(folder)
    assert passages == [
        ("0", "Text 0"),
        ("1", "Neuer Text"),
        ("4", "Text 4"),
        ("5", "Text 5"),
        ("copy", "Text 1"),
        ("new", "Hinzu"),
    ]
    assert folded == []
    assert built.version.languages == {"de": 5, "en": 1}
    assert [f.passage.document for f in LanceIndex(folder).matching("Hinzu", 5)] == ["new"]
    assert old.languages() == {"de": 6}
    assert len(old.nearest(np.ones(old.dimension, np.float32), 50)) == 6

    again = build_index([tmp_path / "b.jsonl"], folder, model, name="m", update=True)
    assert not again.changed
    assert again.version.number == 2

    roll_back(folder, 1)
    assert [document for document, _ in contents(folder)[0]] == ["0", "1", "2", "3", "4", "5"]
    third = build_index([write(tmp_path / "c.jsonl", changed[2:])], folder, model, name="m", update=True)
    assert third.version.number == 3
    assert [document for document, _ in contents(folder)[0]] == ["0", "1", "2", "3", "4", "5", "new"]
    with pytest.raises(InputError, match="roll_back 9: no such version; there are: 1, 2, 3"):
        roll_back(folder, 9)


class Counting:
    """The encoder of words, and how many texts it was given as passages."""

    name, texts = "words", 0

    def __call__(self, texts, role):
        self.texts += len(texts)
        return embed(texts, role)


def dying_build(tmp_path, dying):
    """Documents, and a process that indexes them in shards of sixteen and dies on the way; how many shards it left."""
    documents = [{"id": f"d{n}", "text": f"Dokument {n} " + "Wort " * (n % 12), "lang": "de"} for n in range(400)]
    documents += [{"id": f"copy{n}", "text": documents[n * 7]["text"].strip(), "lang": "de"} for n in range(20)]
    docs = write(tmp_path / "d.jsonl", documents)
    program = f"""
from pathlib import Path
from isoglot.search.index import building, ledger, manifest, publishing, shards, store
from support.dying import die, die_after_calls, dies_around
from support.serving import embed

class Mortal:
    name, calls, dies_at = "words", 0, None
    def __call__(self, texts, role):
        self.calls += 1
        if self.dies_at and self.calls == 6:
            die_after_calls(self.dies_at)
        return embed(texts, role)

shards.CHUNK = 16
{dying}
building.build_index([Path({str(docs)!r})], Path({str(tmp_path / "i")!r}), Mortal(), name="m")
"""
    (tmp_path / "i").mkdir()
    assert exit_code_of(program) == -signal.SIGKILL
    return docs, len([*(tmp_path / "i" / "shards").glob("*[0-9a-f].json")])


@pytest.mark.parametrize(
    ("dying", "finished"),
    [
        ("Mortal.dies_at = 1", range(3, 6)),
        ("Mortal.dies_at = 700", range(3, 8)),
        ("dies_around(ledger.Ledger, 'put', after=False, call=4)", range(3, 4)),
        ("dies_around(ledger, 'atomic_write', after=True, call=4)", range(3, 4)),
        ("dies_around(store.Store, 'add', after=True)", range(25, 26)),
        ("dies_around(publishing, 'settle', after=True)", range(25, 26)),
        ("dies_around(manifest.Manifest, 'write', after=False)", range(25, 26)),
    ],
)
def test_killed_builds_go_on_without_loss_or_doubles(tmp_path, monkeypatch, dying, finished):
    docs, there = dying_build(tmp_path, dying)
    assert there in finished
    with pytest.raises(InputError, match="`isoglot index --resume`"):
        LanceIndex(tmp_path / "i")
    monkeypatch.setattr(shards, "CHUNK", 16)
    counting = Counting()
    built = build_index([docs], tmp_path / "i", counting, name="m", resume=True)
    assert (built.added, built.shards, built.kept) == (420, 25, there)
    assert counting.texts == 3 + 16 * (25 - there)  # three texts tell encoders apart
    assert not (tmp_path / "i" / "shards").exists()
    build_index([docs], tmp_path / "whole", Counting(), name="m")
    assert everything(tmp_path / "i") == everything(tmp_path / "whole")
    passages, folded = contents(tmp_path / "i")
    assert [document for document, _ in passages] == sorted(f"d{n}" for n in range(400))
    assert [document for document, _ in folded] == sorted(f"copy{n}" for n in range(20))


@pytest.mark.parametrize("made", [["passages"], ["folded"], ["passages", "folded"]])
def test_a_build_that_died_while_it_made_its_tables_goes_on(tmp_path, made):
    folder = tmp_path / "i"
    for table in made:  # killed, or the disk was full, before the table's first version was committed
        (folder / "lance" / f"{table}.lance" / "_versions").mkdir(parents=True)
    with pytest.raises(InputError, match="no such file"):
        build_index([tmp_path / "missing"], folder, embed, resume=True)
    for table in made:
        (folder / "lance" / f"{table}.lance" / "_versions").mkdir(parents=True, exist_ok=True)
    build_index([{"id": "a", "text": "Eins."}], folder, embed, resume=True)
    assert [document for document, _ in contents(folder)[0]] == ["a"]


def test_a_folder_is_known_as_ours_before_its_tables_are_made(tmp_path, monkeypatch):
    def killed(*_, **__):
        (tmp_path / "i" / "lance").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.resume.Store", killed)
        with pytest.raises(KeyboardInterrupt):
            build_index([{"id": "a", "text": "Eins."}], tmp_path / "i", embed)
    refuse_foreign(tmp_path / "i")
    build_index([{"id": "a", "text": "Eins."}], tmp_path / "i", embed, resume=True)
    assert [document for document, _ in contents(tmp_path / "i")[0]] == ["a"]


def test_a_build_is_not_resumed_with_other_weights_under_the_same_name(tmp_path, monkeypatch):
    notes, folder = [{"id": f"d{n}", "text": f"Dokument {n}"} for n in range(20)], tmp_path / "i"

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", killed)
        with pytest.raises(KeyboardInterrupt):
            build_index(notes, folder, embed, name="model")

    def retrained(texts, role):
        return embed(texts, role)[:, ::-1]

    with pytest.raises(InputError, match="model model: not the encoder that the index was made with"):
        build_index(notes, folder, retrained, name="model", resume=True)
    assert build_index(notes, folder, embed, name="model", resume=True).kept == 1


def test_an_index_that_is_there_is_replaced_on_request_only(tmp_path):
    notes, folder = [{"id": "a", "text": "Eins."}], tmp_path / "i"
    build_index(notes, folder, embed)
    before = everything(folder)
    for given in ({}, {"resume": True}, {"resume": True, "overwrite": True}):
        with pytest.raises(InputError, match="this index is finished; give `update` to add to it, or `overwrite`"):
            build_index([{"id": "b", "text": "Zwei."}], folder, embed, **given)
    with pytest.raises(InputError, match="overwrite: replaces an index, but `update` and `sync` continue one"):
        build_index(notes, folder, embed, update=True, overwrite=True)
    with pytest.raises(InputError, match="There is no document left to index"):
        build_index([write(tmp_path / "bare.jsonl", [{"text": ""}])], folder, embed, overwrite=True)
    assert everything(folder) == before
    assert build_index([{"id": "b", "text": "Zwei."}], folder, embed, overwrite=True).version.number == 1
    assert [document for document, _ in contents(folder)[0]] == ["b"]


def test_an_unfinished_index_is_gone_on_with_or_replaced_on_request_only(tmp_path, monkeypatch):
    notes, folder = [{"id": "a", "text": "Eins."}], tmp_path / "i"

    def stop(*_, **__):
        raise KeyboardInterrupt

    def interrupted(**given):
        with monkeypatch.context() as patch:
            patch.setattr("isoglot.search.index.building.publish", stop)
            with pytest.raises(KeyboardInterrupt):
                build_index(notes, folder, embed, **given)

    interrupted()
    with pytest.raises(InputError, match="was not finished; give `resume` to go on, or `overwrite` to replace it"):
        build_index(notes, folder, embed)
    assert build_index(notes, folder, embed, resume=True).kept == 1
    interrupted(overwrite=True)
    assert build_index(notes, folder, embed, overwrite=True).kept == 0


def test_a_published_index_is_searched_until_the_one_that_replaces_it_is_done(tmp_path, monkeypatch):
    folder = tmp_path / "i"
    build_index([{"id": "a", "text": "Eins."}], folder, embed)
    before, more = everything(folder), [{"id": "b", "text": "Zwei."}]

    def stop(*_, **__):
        assert everything(folder) == before
        raise KeyboardInterrupt

    for given in ({"overwrite": True}, {"resume": True}, {"resume": True, "overwrite": True}):
        with monkeypatch.context() as patch:
            patch.setattr("isoglot.search.index.building.publish", stop)
            with pytest.raises(KeyboardInterrupt):
                build_index(more, folder, embed, **given)
        assert everything(folder) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [".i.isoglot-new", "i"]
    with pytest.raises(InputError, match="begun with other settings"):
        build_index(more, folder, embed, length=20, resume=True)
    assert build_index(more, folder, embed, resume=True).kept == 1
    assert [document for document, _ in contents(folder)[0]] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_a_place_without_locks_is_named(tmp_path, monkeypatch):
    def lacking(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", lacking)
    with (
        pytest.raises(InputError, match=r"cannot be written \(No locks available\); choose another place") as refused,
        store.one_writer(tmp_path),
    ):
        raise AssertionError("nobody keeps others from writing")
    assert str(refused.value).startswith(str(tmp_path))


def test_a_place_without_hard_links_is_told_from_a_full_one(tmp_path):
    said = "Generic LocalFileSystem error: Unable to rename file: Operation not permitted (os error 1)"
    with pytest.raises(IsoglotError, match=r"need hard links, .* choose another place"), store.writing(tmp_path):
        raise RuntimeError(said)
    with pytest.raises(IsoglotError, match="the disk is full") as full, store.writing(tmp_path):
        raise RuntimeError(said.replace("Operation not permitted", "No space left on device"))
    assert "hard links" not in str(full.value)


def test_one_writer_at_a_time_replaces_an_index(tmp_path):
    folder, notes = tmp_path / "i", [{"id": "a", "text": "Eins."}]
    build_index(notes, folder, embed)
    told = f"another process is writing this index; .* delete {folder / '.lock'}"
    with store.one_writer(folder), pytest.raises(InputError, match=told):
        build_index(notes, folder, embed, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_a_build_that_died_before_it_took_its_place_takes_it(tmp_path):
    folder = tmp_path / "i"
    build_index([{"id": "a", "text": "Eins."}], folder, embed)
    build_index([{"id": "b", "text": "Zwei."}], tmp_path / ".i.isoglot-new", embed)
    folder.rename(tmp_path / ".i.isoglot-old")
    build_index([{"id": "c", "text": "Drei."}], folder, embed, update=True)
    assert [document for document, _ in contents(folder)[0]] == ["b", "c"]
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_a_build_that_died_before_it_moved_the_old_index_takes_its_place(tmp_path):
    folder = tmp_path / "i"
    build_index([{"id": "a", "text": "Eins."}], folder, embed)
    build_index([{"id": "b", "text": "Zwei."}], tmp_path / ".i.isoglot-new", embed)
    with (
        store.one_writer(folder),  # held by the process that built it, which lives
        pytest.raises(InputError, match="another process is writing"),
    ):
        build_index([{"id": "b", "text": "Zwei."}], folder, embed, resume=True)
    with pytest.raises(InputError, match="this index is finished"):
        build_index([{"id": "b", "text": "Zwei."}], folder, embed, resume=True)
    assert [document for document, _ in contents(folder)[0]] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["i"]


def test_an_update_beside_an_unfinished_successor_is_of_the_index(tmp_path, monkeypatch):
    folder = tmp_path / "i"
    build_index([{"id": "a", "text": "Eins."}], folder, embed)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index([{"id": "b", "text": "Zwei."}], folder, embed, overwrite=True)
    build_index([{"id": "c", "text": "Drei."}], folder, embed, update=True, resume=True)
    assert [document for document, _ in contents(folder)[0]] == ["a", "c"]


def test_an_empty_folder_is_as_good_as_none(tmp_path, capsys):
    docs, folder = tmp_path / "a.txt", tmp_path / "i"
    docs.write_text("Der Mond zieht das Meer an.")
    folder.mkdir()
    assert run(["index", str(docs), "-o", str(folder), "--overwrite", "--model", str(tmp_path)]) == 2
    assert "no model" in capsys.readouterr().err
    with pytest.raises(InputError, match="There is no document left to index"):
        build_index([write(tmp_path / "bare.jsonl", [{"text": ""}])], folder, embed, overwrite=True)
    assert build_index([docs], folder, embed, overwrite=True).version.number == 1


def test_nobody_elses_files_are_replaced(tmp_path, capsys):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# Eins\n\nDer Mond zieht das Meer an.")
    for flags in ((), ("--overwrite",)):
        assert run(["index", str(docs), "-o", str(docs), *flags]) == 2
        assert "not empty, and holds nothing that isoglot made; give another --output-dir" in capsys.readouterr().err
    with pytest.raises(InputError, match="holds nothing that isoglot made"):
        build_index([{"text": "Eins."}], docs, embed, overwrite=True)
    assert [path.name for path in docs.iterdir()] == ["a.md"]
    build_index([docs / "a.md"], tmp_path / "i", embed)
    (docs / "a.md").rename(tmp_path / "i" / "a.md")
    with pytest.raises(InputError, match=r"a\.md: lies in .*i, which `overwrite` replaces"):
        build_index([tmp_path / "i" / "a.md"], tmp_path / "i", embed, overwrite=True)
    assert (tmp_path / "i" / "a.md").exists()


def test_resuming_with_other_inputs_is_refused(tmp_path, monkeypatch):
    first, other = (write(tmp_path / f"{name}.jsonl", [{"text": f"Text {name}."}]) for name in ("first", "other"))

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        with pytest.raises(KeyboardInterrupt):
            build_index([first], tmp_path / "i", embed)
    with pytest.raises(InputError, match=r"begun with other inputs \(.*first\.jsonl\); give those with `resume`"):
        build_index([other], tmp_path / "i", embed, resume=True)
    monkeypatch.chdir(tmp_path)
    assert build_index([Path("first.jsonl")], tmp_path / "i", embed, resume=True).kept == 1


def everything(folder):
    """All passages in their order, their vectors, and the manifest without its times."""
    manifest = asdict(read_manifest(folder))
    for version in manifest["versions"]:
        del version["created"], version["ann"]
    batches = [(passages, vectors.tolist()) for passages, vectors in LanceIndex(folder).batches()]
    return batches, manifest


def test_an_update_folds_nothing_onto_what_it_replaces(tmp_path):
    """z says what d5 said before; y what d7 said, of which copy is another duplicate."""
    docs = [{"id": f"d{n}", "text": f"Text {n}", "lang": "de"} for n in range(9)]
    docs += [{"id": "copy", "text": "Text 7", "lang": "de"}]
    folder = tmp_path / "i"
    build_index([write(tmp_path / "a.jsonl", docs)], folder, embed)
    update = [
        {"id": "z", "text": "Text 5", "lang": "de"},
        {"id": "d5", "text": "fünf", "lang": "de"},
        {"id": "d7", "text": "sieben", "lang": "de"},
        {"id": "y", "text": "Text 7", "lang": "de"},
        {"id": "d1", "text": "Text 2", "lang": "de"},  # and two change places
        {"id": "d2", "text": "Text 1", "lang": "de"},
    ]
    built = build_index([write(tmp_path / "b.jsonl", update)], folder, embed, update=True, by_id=True)
    assert (built.added, built.replaced, built.folded) == (2, 4, 1)
    passages, folded = contents(folder)
    texts = {f"d{n}": f"Text {n}" for n in (0, 3, 4, 6, 8)}
    texts |= {"d5": "fünf", "z": "Text 5", "d7": "sieben", "copy": "Text 7", "d1": "Text 2", "d2": "Text 1"}
    assert passages == sorted(texts.items())
    assert folded == [("y", "copy")]


def test_ann_index_recall_is_measured(tmp_path, model):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    folder = tmp_path / "i"
    folder.mkdir()
    docs = write(tmp_path / "d.jsonl", [{"text": f"Text {n}", "lang": "de"} for n in range(300)])
    built = build_index([docs], folder, model, name="m", ann_from=300)
    assert built.version.ann["recall"] >= 0.9
    index = LanceIndex(folder)
    query = encode(model, ["Text 7"], "query").vectors[0]
    near, exact = index.nearest(query, 10), index.nearest(query, 10, exact=True)
    assert len({f.passage.id for f in near} & {f.passage.id for f in exact}) >= 8
    assert approximate.partitions(1_000_000) == 1000


@pytest.mark.parametrize("method", ["center", "csls"])
def test_corrected_indexes_correct_queries_too(tmp_path, model, method):
    texts = [d["text"] for d in capitals()]
    langs = [d["lang"] for d in capitals()]
    vectors = encode(model, texts, "passage").vectors
    questions = encode(model, [text.replace("is", "?") for text in texts], "query").vectors
    fitted = fit(method, [Sample(vectors, langs, "passage"), Sample(questions, langs, "query")])
    fitted.save(tmp_path / "d.npz")
    folder = tmp_path / "i"
    folder.mkdir()
    build_index([write(tmp_path / "d.jsonl", capitals())], folder, model, name="m", debias=tmp_path / "d.npz")
    query = encode(model, [texts[0]], "query").vectors
    expected = fitted.apply(vectors, langs) @ fitted.apply(query, ["zh"], "query")[0]
    searcher = Searcher.open(folder, model)
    hits = searcher.search(texts[0], k=24, query_lang="zh")
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(expected)[::-1], atol=1e-4)
    assert searcher.query_vectors([texts[0]]).shape == (1, fitted.width)
    assert searcher.search(texts[0], k=3, fair="balanced")
    searcher.close()
    more = build_index([{"id": "new", "text": texts[0]}], folder, model, name="m", update=True)
    assert more.added == 1
    center([Sample(vectors[:, :16], langs, "passage")]).save(tmp_path / "small.npz")
    other = tmp_path / "o"
    other.mkdir()
    with pytest.raises(InputError, match="fitted on 16 dimensions"):
        build_index([tmp_path / "d.jsonl"], other, model, name="m", debias=tmp_path / "small.npz")


@pytest.mark.parametrize(
    "options", [ModelOptions(passage_prompt="Passage, of a book: "), ModelOptions(dtype="bfloat16")]
)
def test_a_model_is_opened_as_the_index_says_it_was(tmp_path, tiny_model, options):
    name, folder, notes = str(tiny_model), tmp_path / "i", capitals()
    build_index(notes[:4], folder, name, options=options)
    assert read_manifest(folder).options == options.record()
    more = build_index(notes, folder, name, update=True)  # opened as it was for the others
    assert (more.added, more.unchanged) == (len(notes) - 4, 4)
    ((passages, vectors),) = LanceIndex(folder).batches()
    texts = [passage.text for passage in passages]
    as_told, as_preset = (encode(open_embedder(name, how), texts, "passage").vectors for how in (options, None))
    np.testing.assert_allclose(vectors, as_told, atol=1e-5)
    assert np.abs(vectors - as_preset).max() > 1e-4
    assert Searcher.open(folder).search(texts[0], k=1)


def test_a_model_that_is_named_by_its_path_is_opened_so_too(tmp_path, tiny_model):
    build_index(capitals()[:4], tmp_path / "i", tiny_model, options=ModelOptions(query_prompt="Ask, of a book: "))
    by_path, itself = Searcher.open(tmp_path / "i", tiny_model), Searcher.open(tmp_path / "i")
    assert by_path.model_name == str(tiny_model)
    np.testing.assert_allclose(by_path.query_vectors(["Bern"]), itself.query_vectors(["Bern"]), atol=1e-6)
    own = encode(open_embedder(tiny_model), ["Bern"], "query").vectors
    assert np.abs(itself.query_vectors(["Bern"]) - own).max() > 1e-4


def test_length_and_precision_may_come_with_the_other_options(tmp_path, tiny_model):
    build_index(capitals(), tmp_path / "i", str(tiny_model), options=ModelOptions(length=24, precision="fp32"))
    manifest = read_manifest(tmp_path / "i")
    assert (manifest.length, manifest.options) == (24, {})
    build_index(capitals(), tmp_path / "o", str(tiny_model), length=32, options=ModelOptions(length=24))
    assert read_manifest(tmp_path / "o").length == 32


def test_an_index_that_another_process_built_while_the_model_was_opened_is_left_alone(tmp_path, monkeypatch):
    def records(*numbers):
        return [{"id": f"d{number}", "text": f"moon {number}"} for number in numbers]

    def opened(*_):
        build_index(records(1, 2), tmp_path / "i", embed)
        return embed

    monkeypatch.setattr("isoglot.search.index.building._opened", opened)
    with pytest.raises(InputError, match="this index is finished; give `update` to add to it"):
        build_index(records(2, 3), tmp_path / "i", "a model")
    assert [passage.id for passage in LanceIndex(tmp_path / "i").passages()] == ["d1", "d2"]


def test_another_model_is_refused(capital_index, tmp_path):
    import torch
    from sentence_transformers import SentenceTransformer

    other = SentenceTransformer(str(wide_encoder()), device="cpu")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    with pytest.raises(InputError, match="the model given: not the encoder that the index was made with"):
        Searcher.open(capital_index, other).search("x")


def test_indexes_of_other_formats_say_what_to_do(capital_index, tmp_path):
    folder = tmp_path / "i"
    shutil.copytree(capital_index, folder)
    record = json.loads((folder / "isoglot-index.json").read_text(encoding="utf-8"))
    for version, remedy in ((0, "make the index again with"), (11, "update isoglot"), (None, "make the index again")):
        (folder / "isoglot-index.json").write_text(json.dumps({**record, "isoglot_index": version}), encoding="utf-8")
        with pytest.raises(InputError, match=remedy):
            read_manifest(folder)
    (folder / "isoglot-index.json").write_text(
        '{"isoglot_index": 5, "odd": 2, "versions": [], "roots": []}', encoding="utf-8"
    )
    with pytest.raises(InputError, match="broken"):
        read_manifest(folder)
    with pytest.raises(InputError, match="no index there"):
        read_manifest(tmp_path)


def test_an_index_deleted_while_open(capital_index, tmp_path):
    folder = tmp_path / "i"
    shutil.copytree(capital_index, folder)
    index = LanceIndex(folder)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="deleted or moved"):
        index.nearest(np.ones(32, np.float32), 3)
    with pytest.raises(InputError, match="deleted or moved"):
        index.sample("de")


def test_a_full_disk_leaves_what_was_published(capital_index, tmp_path, model, monkeypatch):
    folder = tmp_path / "i"
    shutil.copytree(capital_index, folder)
    docs = write(tmp_path / "new.jsonl", [{"id": "new", "text": "Neu", "lang": "de"}])

    class Full:
        def __init__(self, table):
            self._table = table

        def __getattr__(self, name):
            return getattr(self._table, name)

        def add(self, *_):
            raise RuntimeError("lance error: LanceError(IO): No space left on device (os error 28)")

    opened = store.Store.__init__

    def init(self, *args, **how):
        opened(self, *args, **how)
        self.passages = Full(self.passages)

    monkeypatch.setattr(store.Store, "__init__", init)
    with pytest.raises(IsoglotError, match=r"the disk is full.*is unchanged.*`update`"):
        build_index([docs], folder, model, name="m", update=True)
    assert LanceIndex(folder).languages()["de"] == 4
    monkeypatch.undo()
    assert build_index([docs], folder, model, name="m", update=True).version.languages["de"] == 5


def test_a_full_disk_while_a_new_index_is_built(tmp_path):
    told = "LanceError(IO): No space left on device (os error 28)"
    with pytest.raises(IsoglotError) as error, store.writing(tmp_path):
        raise RuntimeError(told)
    assert str(error.value) == (
        f"{tmp_path}: the index cannot be written (the disk is full); nothing is published yet, and what is stored "
        "so far is kept; make room and run the same again with `resume`"
    )
    (tmp_path / "isoglot-index.json").touch()
    with pytest.raises(IsoglotError, match="removing old versions also makes room"), store.writing(tmp_path):
        raise RuntimeError(told)


def test_a_full_disk_while_a_shard_is_kept(tmp_path, monkeypatch):
    def full(*args, **how):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(IsoglotError, match=r"No space left on device.; what is finished stays: make room.*`resume`"):
        Ledger(tmp_path).put("0", pa.table({"id": ["1"]}))


@pytest.mark.parametrize("pattern", ["_indices/*/*tokens.lance", "_indices/*/*page_lookup.lance"])
def test_a_version_with_truncated_files_is_not_published(tmp_path, model, monkeypatch, pattern):
    folder, docs = tmp_path / "i", write(tmp_path / "d.jsonl", capitals())
    build_index([docs], folder, model, name="m")
    before = everything(folder)
    there = {*(folder / "lance" / "passages.lance").glob(pattern)}

    def losing(table, **how):
        settle(table, **how)
        for new in {*(folder / "lance" / "passages.lance").glob(pattern)} - there:
            os.truncate(new, new.stat().st_size // 2)

    write(docs, [*capitals(), {"id": "new", "text": "Neu", "lang": "de"}])
    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.publishing.settle", losing)
        with pytest.raises(
            IsoglotError, match=r"\.lance is truncated; perhaps the disk was full\); the published version"
        ):
            build_index([docs], folder, model, name="m", update=True)
    assert everything(folder) == before
    assert build_index([docs], folder, model, name="m", update=True).version.languages["de"] == 5


def test_a_version_is_on_disk_before_readers_see_it(tmp_path, model, monkeypatch):
    folder, synced = tmp_path / "i", []
    docs = write(tmp_path / "d.jsonl", capitals())
    build_index([docs], folder, model, name="m")
    before = {path.stat().st_ino for path in folder.rglob("*")}
    write(docs, [*capitals(), {"id": "new", "text": "Neu", "lang": "de"}])
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    build_index([docs], folder, model, name="m", update=True)
    manifest = (folder / "isoglot-index.json").stat().st_ino
    at = synced.index(manifest)
    new = {
        path.stat().st_ino
        for part in ("lance", "samples")
        for path in (folder / part).rglob("*")
        if path.is_file() and path.stat().st_ino not in before
    }
    assert len(new) > 3
    assert new <= set(synced[:at])


def test_the_command(tmp_path, capsys):
    docs, folder = write(tmp_path / "d.jsonl", [*capitals(), {"text": ""}]), str(tmp_path / "i")
    assert run(["index", str(docs), "-o", folder, "--model", str(wide_encoder()), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["languages"]["th"] == 4
    assert "d.jsonl:25: no text" in told.err
    assert run(["index", str(docs), "-o", folder]) == 2
    assert "this index is finished; give --update to add to it, or --overwrite" in capsys.readouterr().err
    assert run(["index", "-o", folder, "--update", "--delete", "de-0,de-1"]) == 0
    assert "2 deleted" in capsys.readouterr().out
    assert run(["index", "-o", folder, "--versions"]) == 0
    assert "*   2" in capsys.readouterr().out
    assert run(["index", "-o", folder, "--roll-back", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["current"] == 1
    assert run(["search", folder, "capital", "-k", "3", "--langs", "en,de", "--mode", "hybrid", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)
    assert hits[0]["lang"] == "en"
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert run(["search", folder, "首都", "--mode", "lexical", "--fair", "balanced"]) == 0
    assert "北京" in capsys.readouterr().out
    for arguments, words in (
        (["search", folder, "x", "--langs", "xx"], "no xx in this index"),
        (["search", folder, "x", "--langs", ""], "--langs: an empty list"),
        (["search", folder, "x", "--query-lang", "qq"], "--query-lang 'qq' is not a language code"),
        (["search", folder, " "], "0 characters"),
        (["search", folder, "x", "-k", "0"], "--k 0"),
        (["search", str(tmp_path / "none"), "x"], "no index there"),
        (["index", str(tmp_path / "none"), "-o", str(tmp_path / "j")], "no such file or folder"),
        (["index", "-o", str(tmp_path / "j")], "nothing to index"),
        (["index", str(docs), "-o", folder, "--delete", "a"], "--update"),
        (["index", str(docs), "-o", folder, "--update", "--overwrite"], "leave one of them out"),
        (["index", str(docs), "-o", folder, "--resume"], "this index is finished"),
    ):
        assert run(arguments) == 2
        assert words in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run(["index", str(empty), "-o", str(tmp_path / "j")]) == 2
    assert "no file to index" in capsys.readouterr().err
    assert not Path(tmp_path / "j").exists()


def test_what_lance_says_is_told_without_its_own_places():
    error = RuntimeError("lance error: LanceError(IO): Generic error, /root/x/lance-13.0.0/src/a.rs:258:9\nmore")
    assert reason(error) == "Generic error"
    assert reason(OSError()) == "OSError"


def test_an_interrupted_build_names_the_flag_that_goes_on(tmp_path, capsys, monkeypatch):
    docs, folder = write(tmp_path / "d.jsonl", capitals()), tmp_path / "i"
    command = ["index", str(docs), "-o", str(folder), "--model", str(wide_encoder())]

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isoglot.search.index.building.publish", stop)
        assert run(command) == 130
    assert "run the same command with --resume to continue" in capsys.readouterr().err
    assert run(command) == 2
    assert "not finished; give --resume to go on" in capsys.readouterr().err
    assert run([*command, "--resume"]) == 0
    assert "24 added" in capsys.readouterr().out


def test_a_failed_first_try_stands_in_nobodys_way(tmp_path, capsys):
    docs, folder = write(tmp_path / "d.jsonl", capitals()), tmp_path / "i"
    tiny, broken = str(wide_encoder()), tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4 broken")
    for arguments, words in (
        ([str(broken)], "There is no document left to index."),
        ([str(docs), "--length", "13"], "--length 13: prompt and special tokens take 12"),
    ):
        assert run(["index", *arguments, "-o", str(folder), "--model", tiny]) == 2
        assert words in capsys.readouterr().err
        assert not folder.exists()
    assert run(["index", str(docs), "-o", str(folder), "--model", tiny]) == 0
    # And what cannot be made replaces nothing.
    for arguments, words in (
        ([str(docs), "--model", str(tmp_path)], "no model"),
        ([str(broken), "--model", tiny], "no document left"),
    ):
        assert run(["index", *arguments, "-o", str(folder), "--overwrite"]) == 2
        assert words in capsys.readouterr().err
        assert LanceIndex(folder).languages()["th"] == 4
    assert run(["index", str(docs), "-o", str(folder), "--overwrite", "--model", tiny]) == 0


def test_missing_packages_name_the_extra(monkeypatch):
    from isoglot.core.errors import MissingPackageError

    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'isoglot\[search\]'"):
        connect(Path("x"))


def test_small_partitions_survive_bringing_the_index_up_to_date(tmp_path):
    rng = np.random.default_rng(0)

    def rows(start, end):
        vectors = rng.normal(size=(end - start, 16)).astype(np.float32)
        return [{"id": str(n), "vector": vector} for n, vector in zip(range(start, end), vectors, strict=True)]

    def ranked():
        plan = table.search(rng.normal(size=16)).distance_type("cosine").nprobes(4).analyze_plan()
        return int(re.search(r"partitions_ranked=(\d+)", plan).group(1))

    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32(), 16))])
    table = connect(tmp_path).create_table("t", schema=schema)
    for start in range(0, 5000, 1000):
        table.add(rows(start, start + 1000))
    approximate.build(tmp_path, table, Here(), tmp_path / "kept", "k")
    built = ranked()
    assert built >= approximate.partitions(5000) / 2
    settle(table, keep=True)
    assert ranked() >= built / 2
    table.add(rows(5000, 5500))
    settle(table, keep=True)
    assert ranked() >= built / 2


def letters(texts, role):
    """How often each letter from a to z stands in a text."""
    return [[1 + text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]


def test_a_function_indexes_and_searches(tmp_path):
    """Long documents are split by pieces of four letters, and the index says that only the function opens it."""
    long = "Der Berg ist hoch. " * 60
    docs = write(
        tmp_path / "d.jsonl", [{"id": "z", "text": "zzz zz", "lang": "de"}, {"id": "b", "text": long, "lang": "de"}]
    )
    folder = tmp_path / "i"
    folder.mkdir()
    built = build_index([docs], folder, letters, length=50)
    # Five pieces a sentence, the full stop among them: ten sentences a passage.
    assert (built.version.documents, built.version.passages) == (2, 1 + 6)
    assert read_manifest(folder).model == "function:letters"
    assert Searcher.open(folder, letters).search("zz", k=1)[0].document == "z"
    with pytest.raises(InputError, match="made with a custom function, 'letters'; open it with that function"):
        Searcher.open(folder).search("zz")
    with pytest.raises(InputError, match="not the encoder that the index was made with"):
        Searcher.open(folder, lambda texts, role: [[n % 3 + (c == " ") for n in range(26)] for c, *_ in texts]).search(
            "zz"
        )


def test_passages_are_as_long_as_a_trained_model_reads(tmp_path):
    """A folder that was trained on passages of 384 tokens is split at 384 and encoded at 384."""
    trained = bert(tmp_path / "trained")
    (trained / "run.json").write_text(json.dumps({"verb": "train", "settings": {"model": "x", "passage_length": 384}}))
    folder = tmp_path / "i"
    folder.mkdir()
    text = "sky " * 300 + "grass"
    build_index([write(tmp_path / "d.jsonl", [{"id": "d", "text": text, "lang": "en"}])], folder, load(str(trained)))
    assert (read_manifest(folder).length, read_manifest(folder).version.passages) == (384, 1)
    alone = encode(load(str(trained)), [text], "passage", length=384)
    assert (alone.tokens, alone.cut) == (303, 0)
    hit = Searcher.open(folder).search("sky", k=1)[0]
    query = encode(load(str(trained)), ["sky"], "query").vectors[0]
    assert hit.score == pytest.approx(float(query @ alone.vectors[0]), abs=1e-4)
