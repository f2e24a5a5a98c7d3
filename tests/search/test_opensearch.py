"""Indexes in OpenSearch, before a stand-in for its server; what every store must do is in test_stores.py."""

import json
import sys
from contextlib import suppress
from itertools import product

import numpy as np
import pytest

pytest.importorskip("opensearchpy")

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError, MissingPackageError
from isoglot.search.filters.checking import checked_filter
from isoglot.search.filters.tree import DAY, Among, Compare, Date, Like, Missing
from isoglot.search.index.about import About
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from isoglot.search.stores import opensearch_requests, opensearch_writer
from isoglot.search.stores.export import export_index
from isoglot.search.stores.named import open_place, write_place
from isoglot.search.stores.opensearch import OpenSearchIndex
from isoglot.search.stores.opensearch_about import read_about
from isoglot.search.stores.opensearch_layout import mapping
from isoglot.search.stores.opensearch_place import connect, to_place
from support.object_store import faulty
from support.opensearch_server import opensearch_server
from support.passages import assert_words_score_as_in_memory, some_passages, write_index

PASSWORD = "päss:w0rd"


@pytest.fixture
def server(monkeypatch):
    for name in ("OPENSEARCH_USERNAME", "OPENSEARCH_PASSWORD", "OPENSEARCH_CA_CERTS"):
        monkeypatch.delenv(name, raising=False)
    with opensearch_server() as standing:
        yield standing


@pytest.fixture
def place(server):
    return f"opensearch://{server.address}/docs"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return write_index(tmp_path_factory.mktemp("opensearch") / "i", *some_passages())


def counts(done):
    return done.added, done.replaced, done.unchanged, done.removed, done.passages


def writer_of(place):
    """A writer of two dimensions that does not wait for a busy server."""
    where = to_place(place.removeprefix("opensearch:"))
    about = About("hand", 2, probe=[[1.0, 0.0]] * 3)
    return opensearch_writer.OpenSearchWriter(connect(where).client, where, about, overwrite=False, wait=0)


def put(place, passages, vectors=None):
    writer = writer_of(place)
    writer.put(passages, [f"{number}" for number in range(len(passages))], vectors or [[1.0, 0.0]] * len(passages))
    writer.finish()
    writer.close()
    return open_place(place).index


@pytest.mark.parametrize("version", ["2.13.0", "2.19.3", "3.0.0-SNAPSHOT", "3.9.0"])
def test_words_score_as_in_memory_whatever_the_servers_constant_factor(server, place, index, version):
    server.version = version
    export_index(index, place)
    there = open_place(place).index
    assert_words_score_as_in_memory(there)
    there.close()


def test_only_what_changed_is_moved_and_readers_see_it(server, tmp_path, place):
    passages, vectors = some_passages()
    folder = write_index(tmp_path / "i", passages, vectors)
    export_index(folder, place)
    reader = open_place(place)
    assert (reader.version, reader.renew()) == (1, None)
    server.requests.clear()
    assert counts(export_index(folder, place)) == (0, 0, 72, 0, 72)
    assert "POST /docs/_bulk" not in server.requests
    turned = vectors.copy()
    turned[5] = turned[5][::-1]
    changed = [*passages[3:], Passage("new", "new", "Neu", "de", metadata={"fresh": True})]
    versions = open_place(folder).index.manifest.versions
    write_index(folder, changed, np.vstack([turned[3:], turned[:1]]), versions=versions)
    done = export_index(folder, place)
    assert (done.version, *counts(done)) == (2, 1, 1, 68, 3, 70)
    renewed = reader.renew()
    assert renewed.version == 2
    assert renewed.index.nearest(turned[5], 1)[0].passage == passages[5]
    assert renewed.index.document(passages[0].document) == []
    assert renewed.index.fields()["fresh"] == {"boolean"}
    where = checked_filter("fresh = true", renewed.index.fields())
    assert [found.passage.id for found in renewed.index.nearest(turned[5], 9, where=where)] == ["new"]
    reader.index.close()
    renewed.index.close()


def test_an_index_that_is_not_ours_is_never_touched(server, index, place):
    client = connect(to_place(place.removeprefix("opensearch:"))).client
    client.indices.create(index="docs", body={"mappings": {"properties": {"theirs": {"type": "keyword"}}}})
    for overwrite in (False, True):
        with pytest.raises(InputError, match="was not made by `isoglot export`; name another one"):
            export_index(index, place, overwrite=overwrite)
    with pytest.raises(InputError, match="was not made by"):
        open_place(place)
    assert not {"DELETE /docs", "POST /docs/_bulk", "PUT /docs/_mapping"} & set(server.requests)
    client.close()


def test_an_alias_is_read_and_not_written(server, index, place):
    export_index(index, place)
    alias = place.replace("/docs", "/latest")
    server.aliases["latest"] = ["docs"]
    reader = open_place(alias)
    assert reader.index.languages() == {"de": 24, "en": 24, "zh": 24}
    reader.index.close()
    for overwrite in (False, True):
        with pytest.raises(InputError, match="'latest' is an alias of the index 'docs'; export to that"):
            export_index(index, alias, overwrite=overwrite)
    export_index(index, place.replace("/docs", "/more"))
    server.aliases["latest"] = ["docs", "more"]
    with pytest.raises(InputError, match=r"2 indexes have this name \(docs, more\)"):
        open_place(alias)


def test_a_busy_server_is_asked_again_and_what_it_never_takes_is_told(server, place):
    passages = [Passage(str(number), str(number), "Text", "de") for number in range(5)]
    writer = writer_of(place)
    server.busy = 12  # five, five and two documents
    writer.put(passages, ["x"] * 5, [[1.0, 0.0]] * 5)
    assert server.requests.count("POST /docs/_bulk") == 4
    assert writer.finish() == 5
    server.busy = 10**6
    with pytest.raises(
        IsoglotError, match=r"did not take 5 passages \(429, rejected execution .*\); run the same"
    ) as told:
        writer.put(passages, ["x"] * 5, [[1.0, 0.0]] * 5)
    assert told.value.exit_code == 1
    server.busy = 0
    with pytest.raises(IsoglotError, match=r"did not take 1 passages \(400, failed to parse field \[vector\]"):
        writer.put(passages[:2], ["x"] * 2, [[1.0, 0.0], [1.0]])
    writer.remove(["0", "never there"])
    assert writer.finish() == 4
    writer.close()


@pytest.mark.parametrize(
    "where",
    ["title LIKE 'Titel 1%'", "title LIKE '%_ 1_'", r"source LIKE 'zh.jsonl\:_'", "title > 'Titel 3'", "lang <= 'de'",
     "NOT (by.name LIKE 'A%' OR year < 2004)", "id LIKE '%o''clock%#2' AND good IS NOT NULL"],
)  # fmt: skip
def test_texts_are_compared_as_in_memory(index, place, where):
    export_index(index, place)
    reference, there = MemoryIndex(*some_passages()), open_place(place).index
    tree = checked_filter(where, there.fields())
    vector = some_passages()[1][40]
    expected = [found.passage.id for found in reference.nearest(vector, 100, where=tree)]
    assert 0 < len(expected) < 72
    assert [found.passage.id for found in there.nearest(vector, 100, where=tree)] == expected
    there.close()


def test_signs_of_patterns_in_values_stand_for_themselves(place):
    titles = ["a*c", "abc", "a?c", "a\\c", "100%"]
    there = put(place, [Passage(title, title, "Text", "de", title) for title in titles])
    for pattern, expected in (
        ("a*c", {"a*c"}),
        ("a?_", {"a?c"}),
        ("a_c", set(titles[:4])),
        (r"a\\c", {"a\\c"}),
        (r"%\%", {"100%"}),
    ):
        tree = checked_filter(f"title LIKE '{pattern}'", there.fields())
        assert {found.passage.title for found in there.nearest([1.0, 0.0], 9, where=tree)} == expected
    there.close()


def test_among_many_passages_the_servers_own_index_is_asked(server, index, place):
    """With the threshold below the number of passages: the same hits, through a `knn` query with the filter inside."""
    export_index(index, place)
    where = to_place(place.removeprefix("opensearch:"))
    connected = connect(where)
    kept, name = read_about(connected.client, where)
    assert name == "docs"
    reference = MemoryIndex(*some_passages())
    asked = []
    search = connected.client.search
    connected.client.search = lambda **how: asked.append(how["body"]["query"]) or search(**how)
    for exact, kind in ((23, "knn"), (24, "script_score")):
        there = OpenSearchIndex(connected, where, kept, exact=exact)
        tree = checked_filter("year >= 2000", there.fields())
        for vector in some_passages(seed=3)[1][:5]:
            expected = reference.nearest(vector, 7, ["en"], tree)
            found = there.nearest(vector, 7, ["en"], tree)
            assert [one.passage.id for one in found] == [one.passage.id for one in expected]
            assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-6)
        assert {"knn", "script_score"} & {name for query in asked for name in query} == {kind}
        asked.clear()
    connected.client.close()


@pytest.mark.parametrize("exact", [20, 10_000])
def test_languages_that_are_searched_apart_are_asked_at_once(server, index, place, exact):
    export_index(index, place)
    where = to_place(place.removeprefix("opensearch:"))
    connected = connect(where)
    there = OpenSearchIndex(connected, where, read_about(connected.client, where)[0], exact=exact)
    tree = checked_filter("year >= 2003", there.fields())
    vector = some_passages(seed=5)[1][7]
    langs = ["zh", "xx", "de"]
    each = there.nearest_in_each(vector, 5, langs, tree)
    assert each == [there.nearest(vector, 5, [lang], tree) for lang in langs]
    assert [len(found) for found in each] == [5, 0, 5]
    assert there.nearest_in_each(vector, 5, []) == []
    searcher = Searcher(there)
    searcher.search("Fluss", vector=vector, fair="balanced", k=6)
    server.requests.clear()
    assert {hit.lang for hit in searcher.search("Fluss", vector=vector, fair="balanced", k=6)} == {"de", "en", "zh"}
    # Samples and counts are known by now.
    assert [request for request in server.requests if "search" in request or "count" in request] == [
        "POST /docs/_msearch"
    ]
    server.failing = True
    with pytest.raises(IsoglotError, match=r"the server answers 503 \(Partial shards failure\)"):
        there.nearest_in_each(vector, 5, langs)
    there.close()


def test_cosines_below_zero_come_back_as_they_are(place):
    there = put(place, [Passage(name, name, "T", "de") for name in "abc"], [[1.0, 0.0], [0.0, 1.0], [-0.6, -0.8]])
    assert [(hit.passage.id, round(hit.score, 6)) for hit in there.nearest([1.0, 0.0], 3)] == [
        ("a", 1),
        ("b", 0),
        ("c", -0.6),
    ]
    there.close()


def test_equals_come_by_their_ids(place):
    there = put(place, [Passage(name, name, "Wort", "de") for name in ("b", "c", "ä", "a")])
    assert [hit.passage.id for hit in there.nearest([1.0, 0.0], 9)] == ["a", "b", "c", "ä"]
    assert [hit.passage.id for hit in there.matching("wort", 3)] == ["a", "b", "c"]
    there.close()


def test_pages_hold_every_passage_once_however_many_are_read(index, place):
    export_index(index, place)
    client = connect(to_place(place.removeprefix("opensearch:"))).client
    body = {"query": {"match": {"terms": {"query": "titel"}}}, "_source": False}
    order = [{"_score": "desc"}, {"id": "asc"}]
    (whole,) = [list(opensearch_requests.hits(client, "docs", body, 1000, sort=order))]
    assert len({hit["_id"] for hit in whole}) == 72
    for most in (None, 50, 14, 7, 3):
        pages = list(opensearch_requests.hits(client, "docs", body, 7, sort=order, most=most))
        assert [hit["_id"] for hit in pages] == [hit["_id"] for hit in whole][:most]
    with pytest.raises(Exception, match="Result window is too large"):
        list(opensearch_requests.hits(client, "docs", body, 10_001))
    client.close()


@pytest.fixture
def many(place):
    """Passages of which no request shows all at once."""
    passages = [
        Passage(
            f"{number:04}", f"d{number % 3}", "Text", ["de", "en"][number % 2], metadata={"n": [number, number, -1]}
        )
        for number in range(1100)
    ]
    writer = writer_of(place)
    angles = np.arange(1100) / 1100
    writer.put(passages, ["x"] * 1100, np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    writer.finish()
    writer.close()
    there = open_place(place).index
    yield there
    there.close()


def test_facets_samples_and_documents_of_many_passages(many):
    there = many
    ids = there.tally("id")
    assert (len(ids.counts), ids.counts.total(), ids.passages, ids.without) == (1100, 1100, 1100, 0)
    # A value that stands twice in a list counts once.
    numbers = there.tally("n", ["de"])
    assert numbers.counts == {-1.0: 550, **{float(number): 1 for number in range(0, 1100, 2)}}
    assert there.tally("title") == ({}, 1100, 1100)
    assert [passage.id for passage in there.document("d1")] == [f"{number:04}" for number in range(1, 1100, 3)]
    sample = there.sample("en")
    assert sample.shape == (256, 2)
    np.testing.assert_array_equal(sample, there.sample("en"))
    assert len(np.unique(sample, axis=0)) == 256
    assert len(there.nearest([1.0, 0.0], 1050)) == 1050


def test_what_lucene_takes_for_no_term_is_found_as_a_whole(place):
    long = "ä" * 20_000  # 40,000 bytes
    passages = [
        Passage("a", "a", "Text", "de", long + "1", metadata={"note": long + "2"}),
        Passage("b", "b", "Text", "de", long + "3", metadata={"note": "short"}),
        Passage("c", "c", "Text", "de"),
    ]
    there = put(place, passages)
    assert there.passage("a")[0] == passages[0]
    for tree, expected in (
        (Compare("note", "=", long + "2"), ["a"]),
        (Compare("note", "=", long), []),
        (Among("title", (long + "3", "other")), ["b"]),
        (Missing("title"), ["c"]),
        (Like("note", "ää%"), ["a"]),
    ):
        assert [hit.passage.id for hit in there.nearest([1.0, 0.0], 9, where=tree)] == expected
    there.close()
    with pytest.raises(InputError, match="its id has 40001 bytes; OpenSearch takes 32766"):
        put(place, [Passage(long + "a", "a", "Text", "de")])


def test_a_long_query_is_searched_for_without_beginnings(place):
    there = put(place, [Passage("own", "own", "wortaaa", "de"), Passage("other", "other", "wortzzzzz", "de")])
    letters = ["".join(three) for three in product("abcdefghij", repeat=3)]
    assert [found.passage.id for found in there.matching("wortaaa", 9)] == ["own", "other"]
    query = " ".join(["wortaaa", *(f"{three}xx{three}" for three in letters[:1000])])
    assert [found.passage.id for found in there.matching(query, 9)] == ["own"]
    there.close()


def test_a_query_of_too_many_words_is_refused_by_name(index, place):
    export_index(index, place)
    there = open_place(place).index
    query = " ".join(f"wort{number}" for number in range(1025))
    with pytest.raises(
        InputError, match="the query has 1025 different words and signs, and OpenSearch looks for up to 1024"
    ):
        there.matching(query, 3)
    assert there.matching(query.rpartition(" ")[0] + " wort1", 3) == []
    there.close()


def test_a_filter_that_is_too_much_for_the_server_is_refused_as_the_users(index, place):
    export_index(index, place)
    there = open_place(place).index
    days = Among("seen", tuple(Date(number * DAY, DAY) for number in range(1025)))
    with pytest.raises(InputError, match=r"too much for one search on the server .*; use a simpler filter"):
        there.nearest(some_passages()[1][0], 3, where=days)
    there.close()


def test_more_metadata_than_an_index_has_columns_for_is_kept_but_not_filtered(place):
    wide = Passage("a", "a", "Text", "de", metadata={f"f{number:03}": number for number in range(300)})
    there = put(place, [wide])
    assert len(there.fields()) == 5 + 256
    assert there.passage("a")[0] == wide
    there.close()


def test_a_user_and_a_password_are_taken_from_the_environment_and_shown_nowhere(
    server, place, index, monkeypatch, capsys
):
    server.user = ("anna", PASSWORD)
    assert run(["export", str(index), place]) == 2
    assert "the server refuses this user (401" in capsys.readouterr().err
    monkeypatch.setenv("OPENSEARCH_USERNAME", "anna")
    assert run(["export", str(index), place]) == 2
    assert "only one of OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD is set" in capsys.readouterr().err
    monkeypatch.setenv("OPENSEARCH_PASSWORD", "wrong-one")
    assert run(["export", str(index), place]) == 2
    told = capsys.readouterr().err
    assert "put a user with this permission in OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD" in told
    assert "wrong-one" not in told
    monkeypatch.setenv("OPENSEARCH_PASSWORD", PASSWORD)
    assert run(["export", str(index), place]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert PASSWORD not in json.dumps(server.indexes, ensure_ascii=False, default=str) + told.out
    server.forbidden = "_bulk"
    assert run(["export", str(index), place, "--overwrite"]) == 2
    assert "the server refuses this user (403, no permissions for [indices:...]" in capsys.readouterr().err


@pytest.mark.parametrize("seed", range(4))
def test_on_a_network_that_fails_another_try_goes_on(server, index, seed):
    """Answers are lost and requests refused: whatever was done without being told is not done twice."""
    done = None
    with faulty(f"http://{server.address}", refused=0.4, lost=0.5, seed=seed) as endpoint:
        for _ in range(50):
            with suppress(IsoglotError):
                done = export_index(index, f"opensearch:{endpoint}/docs", batch=10)
                break
    assert done.passages == 72
    there = open_place(f"opensearch://{server.address}/docs").index
    passages, vectors = some_passages()
    assert [there.passage(passage.id)[0] for passage in passages] == passages
    assert there.nearest(vectors[9], 1)[0].passage == passages[9]
    there.close()


def test_a_certificate_of_ones_own_is_trusted_where_it_is_named(index, tmp_path, monkeypatch, capsys):
    pytest.importorskip("cryptography")
    from support.certificates import write_certificate

    certificate = write_certificate(tmp_path)
    with opensearch_server(certificate) as secure:
        place = f"opensearch:https://{secure.address}/docs"
        monkeypatch.delenv("OPENSEARCH_CA_CERTS", raising=False)
        assert run(["export", str(index), place]) == 2
        told = capsys.readouterr().err
        assert "no secure connection" in told
        assert "put the path of its authority's certificate in OPENSEARCH_CA_CERTS" in told
        monkeypatch.setenv("OPENSEARCH_CA_CERTS", str(tmp_path / "none.pem"))
        assert run(["export", str(index), place]) == 2
        assert "none.pem: no such file, which OPENSEARCH_CA_CERTS names" in capsys.readouterr().err
        (tmp_path / "empty.pem").write_text("nothing")
        monkeypatch.setenv("OPENSEARCH_CA_CERTS", str(tmp_path / "empty.pem"))
        assert run(["export", str(index), place]) == 2
        assert "OPENSEARCH_CA_CERTS" in capsys.readouterr().err
        monkeypatch.setenv("OPENSEARCH_CA_CERTS", str(certificate[0]))
        assert run(["export", str(index), place]) == 0
        assert "72 passages" in capsys.readouterr().out
        assert run(["search", f"opensearch://{secure.address}/docs", "Fluss"]) == 2
        assert "one with TLS is opensearch:https://HOST:PORT/INDEX" in capsys.readouterr().err


def test_errors_say_what_to_do(server, place, index, monkeypatch, capsys):
    host = server.address
    for where, words in (
        ("opensearch://127.0.0.1:9/docs", "no answer from http://127.0.0.1:9"),
        (f"opensearch:https://{host}/docs", "no secure connection"),
        (place, "no index 'docs' there; make it with `isoglot export INDEX"),
        ("opensearch:here", "expected opensearch://HOST:PORT/INDEX"),
        ("opensearch://h", "expected opensearch://HOST:PORT/INDEX"),
        ("opensearch://h:x/docs", "Port could not be cast"),
        (f"opensearch://{host}/Docs", "'Docs' is no valid index name"),
        (f"opensearch://{host}/_all", "'_all' is no valid index name"),
        (f"opensearch://{host}/a*", "'a*' is no valid index name"),
    ):
        assert run(["search", where, "Fluss"]) == 2, where
        assert words in capsys.readouterr().err
    assert run(["search", "opensearch://anna:geheim@h/docs", "Fluss"]) == 2
    told = capsys.readouterr().err
    assert "put them in OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD" in told
    assert "geheim" not in told
    server.knn = False
    assert run(["export", str(index), place]) == 2
    assert "the server has no k-NN plugin, which keeps vectors; install it there" in capsys.readouterr().err
    server.knn = True
    for version, words in (
        ("2.12.0", "OpenSearch 2.12.0 answers; expected 2.13 or newer"),
        ("", "answers there; expected"),
    ):
        server.version = version
        assert run(["export", str(index), place]) == 2
        assert words in capsys.readouterr().err
    server.version = "3.1.0"
    assert run(["export", str(index), place]) == 0
    capsys.readouterr()
    server.failing = True
    assert run(["search", place, "Fluss", "--mode", "lexical"]) == 1
    assert "the server answers 503 (Partial shards failure)" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "opensearchpy", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'isoglot\[opensearch\]'"):
        open_place(place)
    with pytest.raises(MissingPackageError):
        write_place(place, About("hand", 2))


def test_the_stand_in_refuses_what_the_server_refuses(server):
    """Else the tests above would pass with requests that no server takes."""
    where = to_place(f"//{server.address}/strict")
    client = connect(where).client
    layout = mapping(2, {})
    settings = {"index": {"knn": True, "similarity": {"isoglot_bm25": {"type": "BM25"}}}}
    wrong = {**layout, "propertys": {}}
    vectors = {**layout["properties"], "vector": {"type": "knn_vector", "dimension": 2, "methods": {}}}
    for body, words in (
        ({"settings": settings, "mappings": wrong}, "unsupported parameters"),
        ({"settings": settings, "mappings": {**layout, "properties": vectors}}, r"unknown parameter \[methods\]"),
        ({"settings": {"index": {"knn": True}}, "mappings": layout}, "Unknown Similarity type"),
        ({"settings": {"index": {"knnn": True}}}, r"unknown setting \[index.knnn\]"),
    ):
        with pytest.raises(Exception, match=words):
            client.indices.create(index="strict", body=body)
    client.indices.create(index="strict", body={"settings": settings, "mappings": layout})
    for body, words in (
        ({"query": {"nearest": {}}}, r"unknown query \[nearest\]"),
        ({"query": {"term": {"year": 1}}}, r"No mapping found for \[year\]"),
        ({"query": {"term": {"digest": "x"}}}, "not indexed"),
        ({"querry": {}}, r"unknown field \[querry\]"),
        ({"size": 10_001}, "Result window is too large"),
        ({"query": {"knn": {"vector": {"vector": [1.0, 0.0], "k": 10_001}}}}, "requires k to be in the range"),
        ({"query": {"knn": {"vector": {"vector": [1.0], "k": 1}}}}, "invalid dimension"),
        ({"sort": [{"terms": "asc"}]}, "Text fields are not optimised"),
    ):
        with pytest.raises(Exception, match=words):
            client.search(index="strict", body=body)
    answer = client.bulk(index="strict", body='{"index":{"_id":"a"}}\n{"other":1}\n')
    assert answer["items"][0]["index"]["error"]["type"] == "strict_dynamic_mapping_exception"
    client.close()
