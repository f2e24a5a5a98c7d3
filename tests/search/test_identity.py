"""What a document is called decides what is replaced: nothing may be lost to a name."""

import json

import pytest

from isoglot import load
from isoglot.cli import run
from isoglot.core.errors import InputError
from isoglot.search.candidates import Candidate, fuse
from isoglot.search.index.building import build_index
from isoglot.search.index.deletion import read_ids, resolve_ids
from isoglot.search.index.lance import LanceIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from support.encoders import wide_encoder
from support.rows import write_jsonl as write


@pytest.fixture(scope="module")
def model():
    return load(str(wide_encoder()), device="cpu")


@pytest.fixture
def build(tmp_path, model):
    folder = tmp_path / "i"
    folder.mkdir()

    def make(*inputs, **settings):
        paths = [tmp_path / name for name in inputs]
        return build_index(paths, folder, model, name="m", update=any(folder.iterdir()), **settings)

    return make


def held(tmp_path):
    table = LanceIndex(tmp_path / "i")._table.to_arrow()
    return dict(zip(*(table[c].to_pylist() for c in ("document", "text")), strict=True))


def put(tmp_path, **texts):
    for name, text in texts.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "index.txt").write_text(text, encoding="utf-8")


GERMAN, FRENCH = "Die Gezeiten folgen dem Mond.", "Les marées suivent la lune."


def test_equal_names_in_two_folders(tmp_path, build):
    put(tmp_path, de=GERMAN, fr=FRENCH)
    build("de", "fr")
    assert held(tmp_path) == {"de/index.txt": GERMAN, "fr/index.txt": FRENCH}
    put(tmp_path, de="Neu.")
    for given in ("de", "de/index.txt", "."):
        assert build(given).added == (given == ".") * 0
    assert held(tmp_path) == {"de/index.txt": "Neu.", "fr/index.txt": FRENCH}


def test_one_folder_after_the_other(tmp_path, build):
    put(tmp_path, de=GERMAN, fr=FRENCH)
    build("de")
    built = build("fr")
    assert (built.added, built.replaced) == (1, 0)
    assert held(tmp_path) == {"index.txt": GERMAN, "fr/index.txt": FRENCH}
    again = build("fr/index.txt", "de/index.txt")
    assert (again.unchanged, again.changed) == (2, False)


def test_a_moved_folder(tmp_path, build):
    put(tmp_path, de=GERMAN)
    build("de")
    (tmp_path / "de").rename(tmp_path / "neu")
    put(tmp_path, neu="Anders.")
    built = build("neu", moved_from=tmp_path / "de")
    assert (built.added, built.replaced) == (0, 1)
    assert build("neu/index.txt").unchanged == 1
    assert held(tmp_path) == {"index.txt": "Anders."}


def test_ids_of_several_files_of_records(tmp_path, build):
    write(tmp_path / "de.jsonl", [{"id": 1, "text": GERMAN}, {"id": "same", "text": "OK"}, {"text": "ohne"}])
    write(tmp_path / "fr.jsonl", [{"id": 1, "text": FRENCH}, {"id": "same", "text": "OK"}, {"text": "sans"}])
    with pytest.raises(InputError, match=r"fr\.jsonl:1: the id '1' is that of another text in de.jsonl\nIds must be"):
        build("de.jsonl", "fr.jsonl")
    assert not list((tmp_path / "i").iterdir())
    build("de.jsonl")
    before = held(tmp_path)
    with pytest.raises(InputError, match=r"fr\.jsonl:1: the id '1' is that of another text in the index.*\n.*`by_id`"):
        build("fr.jsonl")
    assert held(tmp_path) == before
    built = build("fr.jsonl", by_id=True)
    assert (built.added, built.replaced, built.unchanged) == (1, 1, 1)
    assert "1 documents of other inputs had the same ids and were replaced, such as '1'" in built.problems.shown[0]
    assert held(tmp_path)["1"] == FRENCH


def test_a_record_comes_in_the_place_of_one_that_is_deleted(tmp_path, build):
    write(tmp_path / "de.jsonl", [{"id": 1, "text": GERMAN}])
    write(tmp_path / "fr.jsonl", [{"id": 1, "text": FRENCH}])
    build("de.jsonl")
    assert build("fr.jsonl", delete=["1"]).deleted == 1
    assert held(tmp_path) == {"1": FRENCH}
    write(tmp_path / "fr.jsonl", [{"id": 1, "text": "Autre."}])
    assert build("fr.jsonl").replaced == 1


def test_a_file_is_no_record(tmp_path, build):
    (tmp_path / "d").mkdir()
    write(tmp_path / "d" / "r.jsonl", [{"id": "b.txt", "text": GERMAN}])
    build("d")
    (tmp_path / "d" / "b.txt").write_text(FRENCH, encoding="utf-8")
    with pytest.raises(InputError, match=r"b\.txt: its id 'b.txt' is that of another text in the index"):
        build("d/b.txt", by_id=True)
    assert held(tmp_path) == {"b.txt": GERMAN}


def test_a_record_is_no_file(tmp_path, build):
    put(tmp_path, de=GERMAN)
    write(tmp_path / "r.jsonl", [{"id": "index.txt", "text": "Ein Satz."}])
    build("de")
    with pytest.raises(InputError, match=r"r\.jsonl:1: the id 'index.txt' is that of a file in the index"):
        build("r.jsonl", by_id=True)
    assert held(tmp_path) == {"index.txt": GERMAN}


def test_passage_ids_are_no_document_ids(tmp_path, build, model):
    long = " ".join(f"Satz Nummer {n} steht hier." for n in range(30))
    write(
        tmp_path / "d.jsonl", [{"id": "a", "text": long}, {"id": "a#1", "text": "Kurz."}, {"id": "a#1#1", "text": "K"}]
    )
    build("d.jsonl")
    table = LanceIndex(tmp_path / "i")._table.to_arrow()
    ids = table["id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert {id_ for id_, document in zip(ids, table["document"].to_pylist(), strict=True) if document != "a"} == {
        "a#1#1",
        "a#1#1#1",
    }
    searcher = Searcher(LanceIndex(tmp_path / "i"), model)
    hits = searcher.search("Kurz", mode="hybrid", k=20)
    assert len({(hit.document, hit.id) for hit in hits}) == len(hits) == len(ids)


def test_fusion_joins_no_two_documents():
    near, matched = ([Candidate(Passage("a#1", name, name, "de"), {"lexical": 1.0}, 0.9)] for name in ("a", "a#1"))
    assert [found.passage.document for found in fuse(near, matched, {"a"}, lambda one: {"a"})] == ["a#1", "a"]


def test_an_heir_whose_id_ends_in_a_number(tmp_path, build):
    write(tmp_path / "d.jsonl", [{"id": "a", "text": GERMAN}, {"id": "b#1", "text": GERMAN}])
    build("d.jsonl")
    assert build(delete=["a"]).deleted == 1
    table = LanceIndex(tmp_path / "i")._table.to_arrow()
    assert (table["document"].to_pylist(), table["id"].to_pylist()) == (["b#1"], ["b#1#1"])
    write(tmp_path / "d.jsonl", [{"id": "b#1", "text": GERMAN}])
    assert build("d.jsonl").unchanged == 1


def test_what_is_deleted():
    there = {"a,b", "a", "b c"}
    assert resolve_ids(["a,b"], there) == (["a,b"], [])
    assert resolve_ids(["a, b c,x"], there) == (["a", "b c"], ["x"])
    assert resolve_ids(["y"], there) == ([], ["y"])
    # A line of a file is no list: with the document "x,a" gone already, "a" has to stay.
    assert resolve_ids([], there, exactly=["x,a", "a,b"]) == (["a,b"], ["x,a"])


def test_ids_given_in_python_are_no_lists(tmp_path, build):
    write(tmp_path / "d.jsonl", [{"id": "a", "text": GERMAN}, {"id": "b", "text": FRENCH}])
    build("d.jsonl")
    built = build(delete=["a,b"])
    assert (built.deleted, built.unknown) == (0, ("a,b",))
    assert build(delete_lists=["a,b"]).deleted == 2


def test_lines_of_a_file_of_ids(tmp_path):
    (tmp_path / "ids").write_bytes("\ufeffa,b\r\n\r\n c\u2028d\n\x85e\n".encode())
    assert read_ids(tmp_path / "ids") == ["a,b", " c\u2028d", "\x85e"]


def test_the_command_deletes_and_names_what_is_unknown(tmp_path, capsys):
    docs = write(tmp_path / "d.jsonl", [{"id": name, "text": f"Text {name}"} for name in ("a,b", "c", "d", " e", "f")])
    index = ["index", "-o", str(tmp_path / "i")]
    assert run([*index, str(docs), "--model", str(wide_encoder())]) == 0
    (tmp_path / "ids").write_text("a,b\nnope\n", encoding="utf-8")
    capsys.readouterr()
    assert (
        run([*index, "--update", "--delete", "c", "--delete", "d,x", "--delete-from", str(tmp_path / "ids"), "--json"])
        == 0
    )
    told = capsys.readouterr()
    assert "there are no such documents: 2 ('x', 'nope')" in told.err
    record = json.loads(told.out)
    assert (record["deleted"], record["unknown"]) == (3, ["x", "nope"])
    assert run([*index, "--update", "--delete", "nope", "--json"]) == 2
    told = capsys.readouterr()
    assert "no such documents: 1 ('nope'); nothing was done" in told.err
    assert told.out == ""
    assert run([*index, str(docs), "--update", "--delete", "nope", "--json"]) == 0  # the rest is done all the same
    assert json.loads(capsys.readouterr().out)["unknown"] == ["nope"]
    assert run([*index, "--update", "--delete-from", str(tmp_path / "none")]) == 2
    assert run([*index, "--delete-from", str(tmp_path / "ids")]) == 2
    assert run([*index, "--moved-from", str(tmp_path)]) == 2
    assert "--moved-from: gives the former place of one input" in capsys.readouterr().err


def test_heirs_of_many_documents(tmp_path, model):
    """They take over in a few commits: with one for each, a folder of copies took hours to delete."""
    long = " ".join(f"Satz {n} über das Meer." for n in range(40))
    files = {"a": 30, "b": 30, "c": 4}
    for name, count in files.items():
        texts = [*(f"Notiz {n}" for n in range(count - 1)), long]
        write(
            tmp_path / f"{name}.jsonl",
            [{"id": f"{name}{n}", "text": text, "lang": "de", "of": f"{name}'s"} for n, text in enumerate(texts)],
        )
    paths = [tmp_path / f"{name}.jsonl" for name in files]
    build_index(paths, tmp_path / "i", model, name="m", length=32)
    before = LanceIndex(tmp_path / "i")._table
    version, was = before.version, {row["document"]: row for row in before.to_arrow().to_pylist()}
    assert len(before.to_arrow()) > len(was) == 30
    build_index([], tmp_path / "i", model, update=True, delete=[f"a{n}" for n in range(30)])
    table = LanceIndex(tmp_path / "i")._table
    assert table.version - version < 10
    rows = table.to_arrow().to_pylist()
    assert len(rows) == len(before.to_arrow())
    assert {row["document"] for row in rows} == {f"b{n}" for n in range(30)}
    for row in rows:
        old = was[f"a{row['document'][1:]}"]
        assert (row["search_title"], row["lang"], row["meta_text_of"]) == (old["search_title"], "de", "b's")
        assert json.loads(row["about"])["metadata"] == {"of": "b's"}
        assert row["source"].startswith("b.jsonl:")
    numbered = [row["id"] for row in rows if row["document"] == "b29"]
    assert numbered == [f"b29#{n}" for n in range(1, len(numbered) + 1)]
    # The last file's documents now wait for the second's to go.
    built = build_index([], tmp_path / "i", model, update=True, delete=[f"b{n}" for n in range(30)])
    assert (built.deleted, built.version.documents, built.version.folded) == (30, 4, 0)
    assert {row["document"] for row in LanceIndex(tmp_path / "i")._table.to_arrow().to_pylist()} == {
        f"c{n}" for n in range(4)
    }
