"""What every store must do, asked of each; exact search over arrays is the reference."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.languages.normal_form import search_form
from isoglot.search.filters.checking import checked_filter
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.searcher import Searcher
from isoglot.search.stores.export import export_index
from isoglot.search.stores.named import STORES, open_place, register_store, split_place, write_place
from isoglot.search.stores.protocol import Opened
from support.databases import DATABASES, database_place
from support.passages import DIMENSION, some_passages, write_index

KINDS = ["array", "lance", "memory", *DATABASES]
TIED = np.full(DIMENSION, DIMENSION**-0.5, np.float32)  # the vector of three passages, one in each language


def opened(kind, passages, vectors, home) -> Opened:
    if kind == "array":
        return Opened(MemoryIndex(passages, vectors))
    folder = write_index(home / "index", passages, vectors)
    if kind in DATABASES:
        export_index(folder, database_place(kind, home))
        return open_place(database_place(kind, home))
    return open_place(f"{kind}:{folder}")


@pytest.fixture(scope="module")
def collection():
    return some_passages()


@pytest.fixture(scope="module", params=KINDS)
def index(request, collection, tmp_path_factory):
    there = opened(request.param, *collection, tmp_path_factory.mktemp(request.param)).index
    yield there
    there.close()


@pytest.fixture(scope="module", params=KINDS)
def empty(request, tmp_path_factory):
    home = tmp_path_factory.mktemp(f"empty-{request.param}")
    there = opened(request.param, [], np.zeros((0, DIMENSION), np.float32), home).index
    yield there
    there.close()


def a_query(seed):
    vector = np.random.default_rng(100 + seed).standard_normal(DIMENSION).astype(np.float32)
    return vector / np.linalg.norm(vector)


def best(collection, vector, k, langs=None):
    """Ids and cosines of the k best, and the ids of all that are as good as the last of them."""
    passages, vectors = collection
    cosines = vectors.astype(np.float64) @ vector.astype(np.float64)
    rows = [row for row in np.argsort(-cosines) if langs is None or passages[row].lang in langs]
    scores = cosines[rows]
    close = {passages[row].id for row, score in zip(rows, scores, strict=True) if score > scores[:k][-1] - 1e-6}
    return scores[:k], close


def test_languages_are_counted_in_alphabetical_order(index):
    assert list(index.languages().items()) == [("de", 24), ("en", 24), ("zh", 24)]
    assert index.dimension == DIMENSION


@pytest.mark.parametrize("langs", [None, ["zh"], ["en", "de"]])
@pytest.mark.parametrize("k", [1, 7, 1000])
def test_the_nearest_are_those_of_exact_search_in_its_order(index, collection, langs, k):
    for seed in range(3):
        vector = a_query(seed)
        found = index.nearest(vector, k, langs)
        scores, close = best(collection, vector, k, langs)
        assert [score for _, score in found] == pytest.approx(scores.tolist(), abs=1e-5)
        assert len({passage.id for passage, _ in found}) == len(found)
        assert {passage.id for passage, _ in found} <= close
        assert all(first.score >= then.score for first, then in pairwise(found))


@pytest.mark.parametrize("where", [None, "year >= 2006", "year > 3000"])
def test_the_vectors_of_the_nearest_are_those_of_the_passages(index, collection, where):
    passages, vectors = collection
    tree = None if where is None else checked_filter(where, index.fields())
    for seed in range(3):
        vector = a_query(seed)
        near = index.nearest_vectors(vector, 7, tree)
        found = index.nearest(vector, 7, None, tree)
        rows = [[passage.id for passage in passages].index(passage.id) for passage, _ in found]
        assert near.vectors.shape == (len(rows), DIMENSION)
        np.testing.assert_allclose(near.vectors, vectors[rows].reshape(-1, DIMENSION), atol=1e-6)
        np.testing.assert_allclose(near.cosines, [score for _, score in found], atol=1e-6)


def test_feedback_is_that_of_exact_search(index, collection):
    def embed(texts, role):
        return np.stack([a_query(5)] * len(texts))

    reference = Searcher(MemoryIndex(*collection), embed)
    there = Searcher(index, embed)
    for how in ({}, {"langs": ["zh"]}, {"where": "year >= 2006"}, {"fair": "balanced"}):
        found = there.search("any", k=5, feedback=True, **how)
        expected = reference.search("any", k=5, feedback=True, **how)
        assert [hit.id for hit in found] == [hit.id for hit in expected]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-5)
        plain = there.search("any", k=5, **how)
        assert [hit.parts["dense"] for hit in found] != pytest.approx([hit.parts["dense"] for hit in plain], abs=1e-3)


def test_equal_cosines_come_together_and_in_an_order_that_stays(index, collection):
    found = index.nearest(TIED, 5)
    assert {passage.id for passage, _ in found[:3]} == {f"{lang}/o'clock 0#1" for lang in ("de", "en", "zh")}
    assert [score for _, score in found[:3]] == pytest.approx([1.0] * 3, abs=1e-6)
    again = index.nearest(TIED, 5)
    assert [passage.id for passage, _ in again] == [passage.id for passage, _ in found]
    # Where only some of those that are equal fit, any of them may be left out, but none of the better ones.
    assert {passage.id for passage, _ in index.nearest(TIED, 2)} < {passage.id for passage, _ in found[:3]}


def test_a_passage_comes_back_as_it_was(index, collection):
    passages, vectors = collection
    for row in (0, 31, 71):
        (found,) = [found for found in index.nearest(vectors[row], 3) if found.passage.id == passages[row].id]
        assert found.passage == passages[row]


def test_words_find_the_passages_that_have_them(index, collection):
    passages, _ = collection
    for query, langs in (("FLUSS", None), ("河流", None), ("river Fluss", ["en"]), ("nummer7", ["de", "zh"])):
        words = search_form(query).split()
        having = {
            passage.id
            for passage in passages
            if any(word in search_form(passage.text) for word in words) and (langs is None or passage.lang in langs)
        }
        found = index.matching(query, 1000, langs)
        assert having
        assert {passage.id for passage, _ in found} == having
        assert all(first.score >= then.score > 0 for first, then in pairwise(found))
    # In one document the word stands three times beside two others, in the other ones less often.
    assert "o'clock 5#" in index.matching("Berg", 1, ["de"])[0].passage.id


def test_words_that_nobody_has_find_nothing(index):
    for query in ("Xylophon", "?!", "o'"):
        assert index.matching(query, 10) == []


def test_a_passage_is_found_by_its_id_with_its_vector(index, collection):
    passages, vectors = collection
    found, vector = index.passage(passages[40].id)
    assert found == passages[40]
    np.testing.assert_allclose(vector, vectors[40], atol=1e-6)
    assert index.passage("nowhere") is None


FILTERS = [
    "year >= 2009",
    "year = 2004 OR year IN (2001, 2007)",
    "NOT year < 2010",
    "lang IN ('en', 'zh') AND year > 2003 AND year <= 2006",
    "tags = 'a' AND seen > 2024-03-04",
    "seen = 2024-03-05 OR seen < 2024-03-02",
    "good = true",
    "good != true",
    "rating IS NULL AND document != 'de/o''clock 1'",
    "rating IS NOT NULL OR by.name = 'Ada'",
    "title IN ('Titel 2', 'Titel 3') AND source = 'de.jsonl:2'",
    "rating >= 0.5 AND NOT (by.name = 'Ada' AND good = false)",
]


@pytest.mark.parametrize("where", FILTERS)
def test_filters_let_through_what_they_let_through_in_memory(index, collection, where):
    reference = MemoryIndex(*collection)
    tree = checked_filter(where, index.fields())
    expected = [found.passage.id for found in reference.nearest(a_query(1), 1000, where=tree)]
    assert 0 < len(expected) < 72
    assert {found.passage.id for found in index.nearest(a_query(1), 1000, where=tree)} == set(expected)
    assert [found.passage.id for found in index.nearest(a_query(1), 3, where=tree)] == expected[:3]
    words = {found.passage.id for found in reference.matching("Titel", 1000, ["en"], tree)}
    assert {found.passage.id for found in index.matching("Titel", 1000, ["en"], tree)} == words
    for field in ("lang", "year", "by.name", "tags", "good", "codes"):
        assert index.tally(field, None, tree) == reference.tally(field, None, tree)
        assert index.tally(field, ["zh"]) == reference.tally(field, ["zh"])


def test_the_fields_are_those_in_memory(index, collection):
    expected = {name: set(kinds) for name, kinds in MemoryIndex(*collection).fields().items()}
    assert {name: set(kinds) for name, kinds in index.fields().items()} == expected
    assert list(index.fields())[:5] == ["lang", "source", "document", "title", "id"]


def test_a_store_that_cannot_compare_says_so(tmp_path, collection):
    there = opened("qdrant", *collection, tmp_path).index
    for where, words in (
        ("title LIKE 'T%'", "LIKE: Qdrant compares texts as a whole"),
        ("title > 'T'", "does not order texts"),
    ):
        with pytest.raises(InputError, match=words):
            there.nearest(TIED, 3, where=checked_filter(where, there.fields()))
    there.close()


def test_a_document_is_found_by_its_id(index, collection):
    passages, _ = collection
    assert index.document("zh/o'clock 3") == [passage for passage in passages if passage.document == "zh/o'clock 3"]
    assert index.document("zh/o'clock 99") == []
    assert index.document("' OR 1=1") == []


def test_the_sample_of_a_small_language_is_all_of_it(index, collection):
    passages, vectors = collection
    own = vectors[[passage.lang == "en" for passage in passages]]
    np.testing.assert_allclose(np.array(sorted(index.sample("en").tolist())), np.array(sorted(own.tolist())), atol=1e-6)
    assert index.sample("xx").shape == (0, DIMENSION)


def test_languages_that_are_not_there_find_nothing_and_a_searcher_says_so(index):
    assert index.nearest(TIED, 3, ["xx"]) == index.matching("Fluss", 3, ["xx"]) == []
    assert index.nearest(TIED, 3, []) == index.matching("Fluss", 3, []) == []
    with pytest.raises(InputError, match="langs: no xx in this index; there are: de, en, zh"):
        Searcher(index).search("Fluss", vector=TIED, langs=["xx"])


@pytest.mark.parametrize("mode", ["dense", "hybrid"])
def test_balanced_fairness_is_that_of_exact_search(index, collection, mode):
    reference = Searcher(MemoryIndex(*collection))
    for seed in range(4):
        how = {"vector": a_query(seed), "fair": "balanced", "k": 9, "quota": 0.6, "mode": mode}
        hits, expected = (which.search("nummer4", **how) for which in (Searcher(index), reference))
        if mode == "dense":
            assert [hit.id for hit in hits] == [hit.id for hit in expected]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-4)
        # .6 of nine places are dealt out evenly: at least one to each of three languages.
        assert {hit.lang for hit in hits} == {"de", "en", "zh"}


def test_an_empty_index_answers_with_nothing(empty):
    assert empty.languages() == {}
    assert empty.nearest(TIED, 3) == empty.matching("Fluss", 3) == empty.document("x") == []
    assert empty.nearest(TIED, 3, ["de"]) == []
    assert empty.sample("de").shape == (0, DIMENSION)
    assert empty.dimension == DIMENSION
    assert empty.passage("x") is None
    assert [array.shape for array in empty.nearest_vectors(a_query(0), 3)] == [(0, DIMENSION), (0,)]
    assert empty.tally("lang") == (Counter(), 0, 0)
    assert Searcher(empty).search("Fluss", vector=TIED, mode="hybrid") == []


@pytest.mark.parametrize("kind", DATABASES)
def test_what_is_removed_is_found_by_nothing_any_more(kind, collection, tmp_path):
    place = database_place(kind, tmp_path)
    gone = [passage.id for passage in collection[0] if passage.document == "en/o'clock 7"]
    before = opened(kind, *collection, tmp_path)
    about = before.about
    before.index.close()
    writer = write_place(place, about)
    assert set(writer.held()) == {passage.id for passage in collection[0]}
    writer.remove([*gone, "never there"])
    assert writer.finish() == 70
    writer.close()
    index = open_place(place).index
    assert index.document("en/o'clock 7") == []
    assert index.languages() == {"de": 24, "en": 22, "zh": 24}
    found = {found.passage.id for found in (*index.nearest(TIED, 1000), *index.matching("nummer7", 1000))}
    assert len(found) == 70
    assert not found & set(gone)
    index.close()


def test_names_and_places():
    assert {"lance", "memory", "milvus", "qdrant", "opensearch"} <= set(STORES.names())
    assert split_place("a:b") == ("lance", "a:b")
    assert split_place("./memory:x") == ("lance", "./memory:x")
    with pytest.raises(InputError, match=r"no store named 'weaviate'; there are: .*lance, memory, .*qdrant"):
        open_place("weaviate://host/index")


def test_a_stores_name_with_a_typing_error_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("qdrnt:docs", "Memory:index"):
        with pytest.raises(InputError, match=rf"no store named '{place.partition(':')[0]}'; there are: .*memory"):
            open_place(place)
    with pytest.raises(InputError, match="foo:bar: no index there"):
        open_place("foo:bar")
    (tmp_path / "qdrnt:docs").mkdir()
    assert split_place("qdrnt:docs") == ("lance", "qdrnt:docs")
    assert split_place(tmp_path / "milvs:x")[0] == split_place("./milvs:x")[0] == split_place("s:x")[0] == "lance"


def test_a_store_of_ones_own_is_opened_by_name_with_the_model_that_is_given(collection):
    places = []

    def open_shelf(rest):
        places.append(rest)
        return MemoryIndex(*collection)

    def embed(texts, role):
        return [[len(text), *[1.0] * (DIMENSION - 1)] for text in texts]

    register_store("shelf", open_shelf)
    searcher = Searcher.open("shelf:upper/left", embed)
    assert len(searcher.search("Fluss", k=3)) == 3
    assert places == ["upper/left"]
    assert (searcher.version, searcher.renewed()) == (None, None)
    with pytest.raises(InputError, match="does not name the encoder"):
        Searcher.open("shelf:x").search("Fluss")
    assert len(Searcher.open("shelf:x").search("Fluss", mode="lexical", k=3)) == 3
    with pytest.raises(InputError, match="gives vectors of 3 dimensions, but the index holds 8"):
        Searcher.open("shelf:x", lambda texts, role: [[len(text), 1, 2] for text in texts]).search("Fluss")
    with pytest.raises(InputError, match=r"'shelf' is read-only; expected a place that begins with one of .*qdrant:"):
        write_place("shelf:x", None)


def test_an_index_folder_in_memory_follows_what_is_published(collection, tmp_path):
    passages, vectors = collection
    folder = write_index(tmp_path / "i", passages, vectors)
    with pytest.raises(InputError, match="no index there"):
        open_place(f"memory:{tmp_path / 'none'}")
    before = open_place(f"memory:{folder}")
    assert (before.version, before.about.model, before.renew()) == (1, "hand", None)
    write_index(folder, passages[:4], vectors[:4], versions=open_place(folder).index.manifest.versions)
    after = before.renew()
    assert after.version == 2
    assert after.index.languages() == {"de": 4}
    assert before.index.languages()["de"] == 24


@pytest.mark.parametrize("store", ["milvus", "opensearch", "qdrant"])
@pytest.mark.parametrize("address", ["localhost:99999", "localhost:abc", "[::1"])
def test_an_address_that_is_none_is_told(store, address):
    with pytest.raises(InputError, match=rf"{store}://.*; expected {store}://HOST:PORT/"):
        open_place(f"{store}://{address}/docs")
