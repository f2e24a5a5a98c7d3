"""What Milvus has of its own: places, tokens, versions, limits, and the collection beside a collection."""

import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite.adapter")

from pymilvus import DataType, MilvusClient

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.search.filters.checking import checked_filter
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.stores.export import export_index
from isoglot.search.stores.milvus_place import Connection, to_place
from isoglot.search.stores.named import open_place, write_place
from support.milvus_server import milvus_server
from support.passages import DIMENSION, some_passages, write_index

TIED = np.full(DIMENSION, DIMENSION**-0.5, np.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return write_index(tmp_path_factory.mktemp("milvus") / "i", *some_passages())


@pytest.fixture
def server(tmp_path):
    with milvus_server(tmp_path / "server.db") as address:
        yield address


@pytest.fixture(autouse=True)
def _no_token(monkeypatch):
    monkeypatch.delenv("MILVUS_TOKEN", raising=False)


def failed(capsys, *args, code=2):
    assert run([str(arg) for arg in args]) == code, capsys.readouterr()
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return " ".join(err.split())


def asked_of(monkeypatch):
    """What is asked of the client from now on: methods with the rows or ids that went with them."""
    asked, ask = [], Connection.ask

    def told(self, what, **how):
        asked.append((what, how.get("data") or how.get("ids") or []))
        return ask(self, what, **how)

    monkeypatch.setattr(Connection, "ask", told)
    return asked


def test_places():
    for rest, url, collection in (
        ("//host/docs", "http://host:19530", "docs"),
        ("//host:1/docs/", "http://host:1", "docs"),
        ("//[::1]/docs", "http://[::1]:19530", "docs"),
        ("//[::1]:7/docs", "http://[::1]:7", "docs"),
        ("http://host/docs", "http://host:19530", "docs"),
        ("https://host/docs", "https://host:443", "docs"),
        ("https://host:7/_1", "https://host:7", "_1"),
    ):
        place = to_place(rest)
        assert (place.url, place.file, place.collection) == (url, None, collection), rest
    for rest, file, collection in (
        ("a.db", "a.db", "isoglot"),
        ("/x y/a.db/docs", "/x y/a.db", "docs"),
        ("a.db/b.db", "a.db/b.db", "isoglot"),
    ):
        place = to_place(rest)
        assert (place.url, str(place.file), place.collection) == ("", file, collection), rest
    for rest in (
        "",
        "//host",
        "//host/",
        "//host/a-b",
        "//host/1a",
        "//host/a/b",
        "a.txt",
        ".db",
        "https:host/x",
        "//",
        "//host:99999/x",
        "//host:abc/x",
        "//[::1/x",
    ):
        with pytest.raises(InputError, match="expected milvus://HOST:PORT/COLLECTION"):
            to_place(rest)
    with pytest.raises(InputError, match="name or password") as refused:
        to_place("//root:Secret@host/docs")
    assert "Secret" not in str(refused.value)


FILTERS = [
    "tags != 't1'",
    "NOT (tags IN ('t1', 't2') OR seen = 2024-03-05)",
    "seen != 2024-03-05",
    "NOT seen < 2024-03-03",
    "title LIKE 'Titel 1%'",
    "title NOT LIKE '%1'",
    "NOT by.name LIKE '%d%'",
    "title > 'Titel 3'",
    "NOT title <= 'Titel 3'",
    "title IS NULL",
    "title != 'Titel 2'",
    "NOT by.name > 'Ada'",
    "NOT year IN (2001, 2002, 2003)",
    "NOT (rating > 1e-3 AND rating < 1e3)",
    "year > -5 AND good IN (true, false)",
    "note = 'a ''quoted'' \\ \"text\" with' OR note = 'none'",
]


def test_filters_that_only_some_databases_have(tmp_path):
    passages, vectors = some_passages()
    note = "a 'quoted' \\ \"text\" with"
    passages = [replace(one, title="") if row % 5 == 0 else one for row, one in enumerate(passages)]
    passages[9] = replace(passages[9], metadata={**passages[9].metadata, "note": note})
    place, reference = f"milvus:{tmp_path / 'm.db'}", MemoryIndex(passages, vectors)
    export_index(write_index(tmp_path / "i", passages, vectors), place)
    with closing(open_place(place).index) as there:
        for where in FILTERS:
            tree = checked_filter(where, there.fields())
            expected = {found.passage.id for found in reference.nearest(TIED, 100, where=tree)}
            assert 0 < len(expected) < 72, where
            assert {found.passage.id for found in there.nearest(TIED, 100, where=tree)} == expected, where
        for pattern in (r"Titel\_1", "Titel_1"):
            with pytest.raises(InputError, match="patterns support only %"):
                there.nearest(TIED, 3, where=checked_filter(f"title LIKE '{pattern}'", there.fields()))
        assert there.tally("title") == reference.tally("title")


def test_equal_passages_come_in_one_order_however_many_are_asked_for(tmp_path):
    passages = [Passage(f"d{n:02}", f"d{n:02}", "ein Wort", "de") for n in range(60)]
    place = f"milvus:{tmp_path / 'm.db'}"
    export_index(write_index(tmp_path / "i", passages[::-1], np.tile(TIED, (60, 1))), place)
    with closing(open_place(place).index) as there:
        for k in (1, 3, 20, 60, 100):
            expected = [passage.id for passage in passages[:k]]
            assert [found.passage.id for found in there.nearest(TIED, k)] == expected
            assert [found.passage.id for found in there.matching("Wort", k)] == expected
        assert len(there.nearest(TIED, 16_384)) == 60
        for search in (lambda: there.nearest(TIED, 16_385), lambda: there.matching("Wort", 16_385)):
            with pytest.raises(InputError, match="k 16385: Milvus answers a search with 16384 passages at most"):
                search()


def test_a_sample_of_many_is_fixed_and_does_not_change_with_other_languages(tmp_path):
    vectors = np.random.default_rng(3).standard_normal((700, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    passages = [Passage(f"d{n}", f"d{n}", f"Wort {n}", "de" if n < 600 else "en") for n in range(700)]
    folder, place = write_index(tmp_path / "i", passages, vectors), f"milvus:{tmp_path / 'm.db'}"
    export_index(folder, place)
    with closing(open_place(place).index) as there:
        many, few = there.sample("de"), there.sample("en")
        np.testing.assert_array_equal(there.sample("de"), many)
    assert (many.shape, few.shape) == ((256, 4), (100, 4))
    assert len({tuple(row) for row in many.tolist()} & {tuple(row) for row in vectors[:600].tolist()}) == 256
    write_index(folder, passages[:600], vectors[:600], versions=open_place(folder).index.manifest.versions)
    export_index(folder, place)
    with closing(open_place(place).index) as there:
        np.testing.assert_array_equal(there.sample("de"), many)


def test_a_passage_without_words_is_found_by_its_vector_alone(tmp_path):
    passages = [Passage("mark", "mark", "?!", "und"), Passage("word", "word", "Wort", "de")]
    place = f"milvus:{tmp_path / 'm.db'}"
    export_index(write_index(tmp_path / "i", passages, np.eye(2, 4, dtype=np.float32)), place)
    with closing(open_place(place).index) as there:
        assert [found.passage for found in there.nearest(np.eye(4, dtype=np.float32)[0], 2)] == passages
        assert [found.passage.id for found in there.matching("Wort ?!", 2)] == ["word"]


def test_a_second_export_sends_no_term_and_no_passage_again(index, server, monkeypatch):
    place = f"milvus://{server}/docs"
    export_index(index, place)
    asked = asked_of(monkeypatch)
    export_index(index, place)
    assert not [what for what, _ in asked if what in {"upsert", "delete", "create_collection"}]


def test_terms_are_counted_anew_where_they_changed(tmp_path, server, monkeypatch):
    texts = ["Berg und Tal", "Berg", "Fluss"]
    vectors = np.eye(3, 4, dtype=np.float32)
    place, folder = f"milvus://{server}/docs", tmp_path / "i"

    def put(texts):
        passages = [Passage(f"d{n}", f"d{n}", text, "de") for n, text in enumerate(texts)]
        before = open_place(folder).index.manifest.versions if folder.exists() else []
        write_index(folder, passages, vectors[: len(texts)], versions=before)
        export_index(folder, place)
        return MemoryIndex(passages, vectors[: len(texts)])

    def scores(index):
        return {found.passage.id: found.score for found in index.matching("Berg Fluss Tal", 5)}

    put(texts)
    opened = open_place(place)
    assert opened.renew() is None
    asked = asked_of(monkeypatch)
    # Of the terms berg, und, tal, fluss: berg is in one passage less, and see is new; fluss stays, und and tal go.
    after = put(["Berg See", "See", "Fluss"])
    terms = [row["key"] for what, rows in asked if what == "upsert" for row in rows if row.get("number")]
    gone = [key for what, keys in asked if what == "delete" for key in keys if str(key).startswith("term/")]
    assert (len(terms), len(gone)) == (2, 2)
    assert Counter(what for what, rows in asked if what == "upsert" for row in rows if "point" in row)["upsert"] == 2
    again = opened.renew()
    assert again.version == 2
    assert scores(again.index).keys() == scores(after).keys() == {"d0", "d2"}
    # One of three passages has the word and its beginning: log(1 + 2.5 / 1.5) = .98083 each. Its length is 2, and so is
    # the mean of the first export, 6 / 3: 2.2 / (1 + 1.2) = 1.
    assert scores(again.index)["d2"] == pytest.approx(2 * 0.98083, rel=1e-4)
    assert again.renew() is None
    again.index.close()
    opened.index.close()


def test_a_long_description_is_kept_in_parts_and_the_one_before_goes(tmp_path, server):
    folder, place = tmp_path / "i", f"milvus://{server}/docs"
    for size in (200_000, 100):
        versions = open_place(folder).index.manifest.versions if folder.exists() else []
        write_index(folder, *some_passages(1), options={"note": "ü" * size}, versions=versions)
        export_index(folder, place)
        opened = open_place(place)
        assert opened.about.options == {"note": "ü" * size}
        opened.index.close()
    with closing(MilvusClient(f"http://{server}")) as client:
        rows = client.query("docs_isoglot", filter="number == 0", output_fields=["key"])
        assert len(rows) == 2  # the pointer and one part


def make_foreign(client, name):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)
    client.insert(name, [{"id": 1, "vector": [1.0, 2.0]}])


@pytest.mark.parametrize("foreign", ["docs", "docs_isoglot"])
def test_a_collection_that_is_not_ours_is_never_touched(index, server, foreign):
    place = f"milvus://{server}/docs"
    with closing(MilvusClient(f"http://{server}")) as client:
        make_foreign(client, foreign)
        for overwrite in (False, True):
            with pytest.raises(InputError, match=f"'{foreign}' was not made by `isoglot export`; name another one"):
                export_index(index, place, overwrite=overwrite)
        with pytest.raises(InputError, match="was not made by" if foreign == "docs" else "no collection 'docs' there"):
            open_place(place)
        assert client.list_collections() == [foreign]
        assert client.query(foreign, filter="id == 1", output_fields=["count(*)"])[0]["count(*)"] == 1


def test_the_token_comes_from_the_environment_and_is_shown_nowhere(index, tmp_path, monkeypatch, capsys):
    with milvus_server(tmp_path / "m.db", token="root:Milvus") as server:
        place = f"milvus://{server}/docs"
        for token in (None, "root:Wrong"):
            if token is not None:
                monkeypatch.setenv("MILVUS_TOKEN", token)
            told = failed(capsys, "export", index, place)
            assert "the server rejects the token; put the right one in MILVUS_TOKEN" in told
            assert "Wrong" not in told
        monkeypatch.setenv("MILVUS_TOKEN", "root:Milvus")
        assert run(["export", str(index), place, "--json"]) == 0
        assert run(["search", place, "Fluss", "--mode", "lexical"]) == 0
        out, err = capsys.readouterr()
        assert "Fluss" in out
        assert "root:Milvus" not in out + err
    with closing(open_file(tmp_path / "m.db")) as client:
        kept = client.query("docs_isoglot", filter="number == 0", output_fields=["text"])
        assert "Milvus" not in str(kept)


def open_file(file):
    stack = milvus_server(file)
    client = MilvusClient(f"http://{stack.__enter__()}")
    close = client.close

    def both():
        close()
        stack.__exit__(None, None, None)

    client.close = both
    for name in client.list_collections():
        client.load_collection(name)
    return client


def test_what_cannot_be_reached_or_is_too_old_is_told(index, tmp_path, capsys, monkeypatch):
    with milvus_server(tmp_path / "old.db", version="v2.4.15") as old:
        assert "the server is Milvus v2.4.15; expected 2.5 or newer" in failed(
            capsys, "export", index, f"milvus://{old}/a"
        )
    with milvus_server(tmp_path / "new.db", version="v2.6.0-rc1") as new:
        assert "no collection 'docs' there; make it with `isoglot export INDEX milvus:" in failed(
            capsys, "search", f"milvus://{new}/docs", "Fluss"
        )
    told = failed(capsys, "search", f"milvus://{new}/docs", "Fluss")
    assert f"no answer from http://{new}" in told
    assert "check that a Milvus server runs there" in told
    monkeypatch.setitem(sys.modules, "milvus_lite.adapter.grpc.server", None)
    assert "pip install 'isoglot[milvus]'" in failed(capsys, "export", index, f"milvus:{tmp_path / 'm.db'}")
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    assert "pip install 'isoglot[milvus]'" in failed(capsys, "export", index, "milvus://localhost/docs")


def test_a_server_that_went_is_told(index, tmp_path):
    with milvus_server(tmp_path / "m.db") as server:
        export_index(index, f"milvus://{server}/docs")
        there = open_place(f"milvus://{server}/docs").index
    with pytest.raises(IsoglotError, match=f"no answer from http://{server} .*check that the server runs") as told:
        there.nearest(TIED, 5)
    assert told.value.exit_code == 1
    there.close()


def test_collections_that_a_server_has_let_go_of_are_taken_in_again(index, server):
    place = f"milvus://{server}/docs"
    export_index(index, place)
    with closing(open_place(place).index) as there, closing(MilvusClient(f"http://{server}")) as client:
        expected = there.nearest(TIED, 5), there.matching("Fluss", 5), there.document("zh/o'clock 3")
        for name in ("docs", "docs_isoglot"):  # as after a restart of Milvus Lite
            client.release_collection(name)
        assert (there.nearest(TIED, 5), there.matching("Fluss", 5), there.document("zh/o'clock 3")) == expected


def test_files_that_are_none_or_are_open_are_told(index, tmp_path, capsys):
    file = tmp_path / "m.db"
    export_index(index, f"milvus:{file}/docs")
    assert "no collection 'other' there" in failed(capsys, "search", f"milvus:{file}/other", "Fluss")
    with closing(open_place(f"milvus:{file}/docs").index):
        assert "this file is open already" in failed(capsys, "search", f"milvus:{file}/docs", "Fluss")
        assert "this file is open already" in failed(capsys, "export", index, f"milvus:{file}/docs")
    for _ in range(2):  # the first leaves it to the second
        assert run(["search", f"milvus:{file}/docs", "Fluss", "--mode", "lexical"]) == 0
    (tmp_path / "text.db").write_text("x")
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "folder.db" / "theirs").write_text("x")
    for name in ("text.db", "folder.db"):
        assert "is not a file of Milvus Lite 3; name another one" in failed(
            capsys, "export", index, f"milvus:{tmp_path / name}"
        )
        assert "no file of Milvus Lite there" in failed(capsys, "search", f"milvus:{tmp_path / name}", "Fluss")


def test_texts_that_are_too_long_for_milvus_are_named_and_nothing_is_put(tmp_path):
    passages, vectors = some_passages(1)
    # In bytes: 22,000 signs of three are 66,000.
    passages[1] = replace(passages[1], text="山" * 22_000)
    passages[3] = replace(passages[3], metadata={"note": "x" * 70_000})
    folder, place = write_index(tmp_path / "i", passages, vectors), f"milvus:{tmp_path / 'm.db'}"
    with pytest.raises(InputError, match=r"up to 65535 bytes; text of .*0#2.*: 66000 bytes; metadata of .*: 700"):
        export_index(folder, place)
    about = open_place(folder).about
    with closing(write_place(place, about)) as writer:
        assert writer.held() == {}
    passages[1] = replace(passages[1], text="山" * 21_845)  # 65,535 bytes
    passages[3] = replace(passages[3], metadata={})
    write_index(folder, passages, vectors, versions=open_place(folder).index.manifest.versions)
    export_index(folder, place)
    with closing(open_place(place).index) as there:
        assert there.passage(passages[1].id)[0] == passages[1]
