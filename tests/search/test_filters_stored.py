"""Filters in the stored index find what the tree itself says of every passage, whatever else is asked for."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isoglot.core.errors import InputError
from isoglot.search.filters.checking import checked_filter
from isoglot.search.filters.evaluation import matches
from isoglot.search.index import columns
from isoglot.search.index.building import build_index
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.manifest import read_manifest
from isoglot.search.index.memory import MemoryIndex
from isoglot.search.searcher import Searcher

DIMENSION = 16
TEXTS = ["a", "A", "ab", "it's", "50%", "a_b", "\\", "é", "北京", "", "2020", "x\ny", "true", "😀"]
NUMBERS = [0.0, -1.5, 2020.0, 3.0, 1e300, 2.0**53]
DATES = ["2024-05-01", "2024-05-01T10:00:00Z", "1969-12-31T23:59:59.999999+00:00", "0001-01-01", "2024-05-02"]


def embed(texts, role):
    """A vector for every text, the same whenever it is asked for."""
    rows = [np.random.default_rng(list(text.encode())).normal(size=DIMENSION) for text in texts]
    return np.array(rows, np.float32) / np.linalg.norm(rows, axis=1, keepdims=True)


def documents(number=240):
    rng = np.random.default_rng(1)

    def some(values):
        return values[rng.integers(len(values))]

    made = []
    for n in range(number):
        document = {"id": f"d{n}", "text": f"word{n % 7} common {n}", "lang": some(["de", "en", "zh"])}
        if rng.random() < 0.5:
            document["title"] = some(TEXTS)
        fields = {
            "number": lambda: float(some(NUMBERS)),
            "mixed": lambda: some([1, "1", "b", True, None, 2.5]),
            "when": lambda: some(DATES),
            "flag": lambda: bool(rng.random() < 0.5),
            "tags": lambda: [some(TEXTS) for _ in range(rng.integers(3))],
            "Odd näme.": lambda: some(TEXTS),
            "nested": lambda: {"deep": some(TEXTS), "n": [1, 2]},
            "source": lambda: some(["x", "y"]),
        }
        document["metadata"] = {name: make() for name, make in fields.items() if rng.random() < 0.6}
        made.append(document)
    return made


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """The store with an ANN index over several commits, some rows deleted; and the same passages in memory."""
    folder = tmp_path_factory.mktemp("filters") / "index"
    made = documents()
    build_index(made[:100], folder, embed)
    build_index(made[100:], folder, embed, update=True, delete=["d3", "d150"], ann_from=50)
    stored = LanceIndex(folder)
    passages = [found.passage for found in stored.nearest(embed(["x"], "query")[0], 1000, exact=True)]
    assert len(passages) == 239  # d150 comes after it was asked to be deleted
    passages.sort(key=lambda passage: passage.id)
    vectors = embed([f"{passage.title} {passage.text}".strip() for passage in passages], "passage")
    return stored, MemoryIndex(passages, vectors), passages


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


texts = st.sampled_from(TEXTS).map(quoted)
numbers = st.sampled_from([*NUMBERS, 1.0]).map(repr)
dates = st.sampled_from(DATES)
patterns = st.lists(st.sampled_from([*"aAb%_'é北", "\\%", "\\_", "\\\\", "\\"]), max_size=4).map(
    lambda parts: quoted("".join(parts))
)
order = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])


def compared(names, operators, values):
    return st.tuples(st.sampled_from(names), operators, values).map(" ".join)


def among(names, values):
    many = st.lists(values, min_size=1, max_size=4).map(lambda some: f"({', '.join(some)})")
    return st.tuples(st.sampled_from(names), st.sampled_from(["IN", "NOT IN"]), many).map(" ".join)


ODD = '"Odd näme."'
ONES = ["title", ODD, "nested.deep", "mixed", "metadata.source", "source", "lang", "document", "id"]
conditions = st.one_of(
    compared(ONES, order, texts),
    compared(["number", "mixed", "metadata.number"], order, numbers),
    compared(["when"], order, dates),
    compared(["tags"], st.sampled_from(["=", "!="]), texts),
    compared(["nested.n"], st.sampled_from(["=", "!="]), numbers),
    compared(["flag", "mixed"], st.sampled_from(["=", "!="]), st.sampled_from(["true", "false"])),
    among([*ONES, "tags"], texts),
    among(["number", "nested.n"], numbers),
    among(["when"], st.one_of(dates, texts)),
    among(["mixed"], st.one_of(texts, numbers, st.sampled_from(["true", "false"]))),
    compared(["title", ODD, "source"], st.sampled_from(["LIKE", "NOT LIKE"]), patterns),
    st.tuples(
        st.sampled_from([*ONES, "tags", "number", "when", "flag"]), st.sampled_from(["IS NULL", "IS NOT NULL"])
    ).map(" ".join),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"({' AND '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"({' OR '.join(parts)})"),
        inner.map(lambda part: f"(NOT {part})"),
    ),
    max_leaves=6,
)
languages = st.sampled_from([None, ["de"], ["zh", "en"]])


@settings(max_examples=120)
@given(where=filters, langs=languages)
def test_the_store_filters_as_the_tree_says(indexes, where, langs):
    stored, memory, passages = indexes
    assert {name: set(kinds) for name, kinds in stored.fields().items()} == {
        name: set(kinds) for name, kinds in memory.fields().items()
    }
    tree = checked_filter(where, stored.fields())
    wanted = {passage.id for passage in passages if matches(tree, passage) and (langs is None or passage.lang in langs)}
    vector = embed([where], "query")[0]
    assert {found.passage.id for found in stored.nearest(vector, 1000, langs, tree, exact=True)} == wanted
    approximate = {found.passage.id for found in stored.nearest(vector, 1000, langs, tree)}
    assert approximate <= wanted if len(wanted) == len(passages) else approximate == wanted
    near, right = stored.nearest(vector, 5, langs, tree, exact=True), memory.nearest(vector, 5, langs, tree)
    np.testing.assert_allclose([found.score for found in near], [found.score for found in right], atol=1e-5)
    assert {found.passage.id for found in stored.matching("common", 1000, langs, tree)} == wanted
    assert [found.passage.id for found in memory.matching("word3", 1000, langs, tree)] == [
        found.passage.id for found in memory.matching("word3", 1000) if found.passage.id in wanted
    ]
    for field in ("lang", "tags", "mixed", "title"):
        assert stored.tally(field, langs, tree) == memory.tally(field, langs, tree)


@settings(max_examples=25)
@given(
    where=filters,
    langs=languages,
    mode=st.sampled_from(["dense", "lexical", "hybrid"]),
    fair=st.sampled_from(["none", "balanced"]),
)
def test_every_way_of_searching_filters_first(indexes, where, langs, mode, fair):
    stored, _, passages = indexes
    tree = checked_filter(where, stored.fields())
    wanted = {passage.id for passage in passages if matches(tree, passage) and (langs is None or passage.lang in langs)}
    searcher = Searcher(stored, embed)
    hits = searcher.search("common", k=8, where=where, langs=langs, mode=mode, fair=fair)
    assert len(hits) == min(8, len(wanted))
    assert {hit.id for hit in hits} <= wanted
    assert searcher.search_many(["common"], k=8, where=tree, langs=langs, mode=mode, fair=fair) == [hits]


def test_filters_that_cannot_be_are_refused_before_anything_is_encoded(indexes):
    def broken(texts, role):
        raise AssertionError

    searcher = Searcher(indexes[0], broken)
    with pytest.raises(InputError, match="where: character 1: there is no field 'yaer'"):
        searcher.search("x", where="yaer = 1")
    with pytest.raises(InputError, match="where: character 1: 'flag' holds true and false"):
        searcher.search_many(["x"], where="flag = 'a''; DROP TABLE passages'")


def test_updates_bring_fields_and_old_versions_stay(tmp_path):
    build_index([{"id": "a", "text": "one", "year": 1}], tmp_path / "i", embed)
    before = LanceIndex(tmp_path / "i")
    build_index([{"id": "b", "text": "two", "place": "Bern"}], tmp_path / "i", embed, update=True)
    after = Searcher.open(tmp_path / "i", embed)
    assert "place" not in before.fields()
    assert [hit.id for hit in after.search("x", where="place = 'Bern' OR year = 2")] == ["b"]
    assert {hit.id for hit in after.search("x", where="place IS NULL OR year IS NULL")} == {"a", "b"}
    old = checked_filter("year = 1", before.fields())
    assert [found.passage.id for found in before.nearest(embed(["x"], "query")[0], 5, None, old)] == ["a"]


def test_an_heir_is_found_by_its_own_fields(tmp_path):
    twins = [
        {"id": "a", "text": "same", "lang": "en", "year": 1, "tags": ["x"], "only": True},
        {"id": "b", "text": "same", "lang": "en", "year": 2, "tags": ["y'", "z"], "on": "2024-05-01"},
        {"id": "c", "text": "other", "lang": "en", "on": "2023-05-01"},
    ]
    build_index(twins, tmp_path / "i", embed)
    build_index([], tmp_path / "i", embed, update=True, delete=["a"])
    searcher = Searcher.open(tmp_path / "i", embed)
    for where in ("year = 2", "tags = 'y'''", "only IS NULL AND year IS NOT NULL", f"source = '{source(searcher)}'"):
        assert [hit.id for hit in searcher.search("x", where=where)] == ["b"]
    assert searcher.search("x", where="year = 1 OR only = true OR tags = 'x'") == []


def test_a_field_that_only_an_heir_has_can_be_searched(tmp_path):
    twins = [{"id": "a", "text": "same", "lang": "en"}, {"id": "b", "text": "same", "lang": "en", "only": 7}]
    build_index(twins, tmp_path / "i", embed)
    build_index([], tmp_path / "i", embed, update=True, delete=["a"])
    assert [hit.id for hit in Searcher.open(tmp_path / "i", embed).search("x", where="only = 7")] == ["b"]


def source(searcher):
    return searcher.document("b")[0].source


def test_fields_beyond_what_an_index_holds_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "MOST", 3)
    many = [{"id": str(n), "text": f"t{n}", f"f{n}": n} for n in range(5)] + [{"id": "l", "text": "l", "x" * 201: 1}]
    built = build_index(many, tmp_path / "i", embed)
    (told,) = [line for line in built.problems.shown if "cannot be used in filters" in line]
    assert "3 fields of metadata" in told
    assert "f3, f4, xxx" in told
    assert set(LanceIndex(tmp_path / "i").fields()) == {"lang", "source", "document", "title", "id", "f0", "f1", "f2"}
    assert Searcher.open(tmp_path / "i", embed).search("x", where="id = '4'")[0].metadata == {"f4": 4}


def test_an_index_of_the_format_before_says_that_it_must_be_made_again(tmp_path):
    build_index([{"id": "a", "text": "one"}], tmp_path / "i", embed)
    path = tmp_path / "i" / "isoglot-index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "isoglot_index": 4}), encoding="utf-8")
    with pytest.raises(InputError, match="index format 4, this isoglot reads formats 5 to 10; make the index again"):
        read_manifest(tmp_path / "i")
