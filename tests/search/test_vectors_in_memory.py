"""Vectors that stay in memory are searched as Lance's own scan of the table does, and read once."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.search.filters.checking import checked_filter
from isoglot.search.index import row_cache, vectors_in_memory
from isoglot.search.index.lance import LanceIndex
from isoglot.search.index.lance_tables import PASSAGES, connect
from isoglot.search.index.passages_table import SHOWN
from isoglot.search.index.row_cache import Fetched
from isoglot.search.index.vectors_in_memory import Resident
from isoglot.search.passage import Passage
from isoglot.search.searcher import Searcher
from support.passages import write_index

DIMENSION = 24
LANGS = ("de", "en", "zh")
PASSAGES_MADE = 300


def made_up(count=PASSAGES_MADE, dimension=DIMENSION, seed=0):
    """Passages with years and tags; every third vector is that of the passage before it."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    vectors[2::3] = vectors[1::3][: len(vectors[2::3])]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    passages = [
        Passage(f"d{n}", f"d{n}", f"word{n % 5}", LANGS[n % 3], metadata={"year": 2000 + n % 10, "it's": n % 2 == 0})
        for n in range(count)
    ]
    return passages, vectors


def queries(count, dimension=DIMENSION):
    drawn = np.random.default_rng(7).standard_normal((count, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


class Watched:
    """A table that notes which columns were asked for, by scans and by row ids."""

    def __init__(self, table):
        self._table, self.scans, self.taken = table, [], []

    def search(self, *args, **kwargs):
        scan = self._table.search(*args, **kwargs)
        select = scan.select

        def noting(columns):
            self.scans.append(columns)
            return select(columns)

        scan.select = noting
        return scan

    def take_row_ids(self, ids):
        self.taken.append(ids)
        return self._table.take_row_ids(ids)


def watched(folder):
    return Watched(connect(folder).open_table(PASSAGES))


@pytest.fixture(scope="module", params=["float32", "float16", "int8"])
def made(request, tmp_path_factory):
    passages, vectors = made_up()
    return (
        write_index(tmp_path_factory.mktemp("kept") / "i", passages, vectors, numbers=request.param),
        passages,
        vectors,
    )


@pytest.mark.parametrize("where", [None, "year >= 2004", '"it\'s" = true AND year < 2003', "year = 1900"])
@pytest.mark.parametrize("langs", [None, ["de"], ["zh", "en"]])
def test_what_lances_own_scan_finds(made, monkeypatch, where, langs):
    folder, passages, _ = made
    kept, scanned = LanceIndex(folder), LanceIndex(folder)
    tree = None if where is None else checked_filter(where, kept.fields())
    atol = 1e-3 if kept.manifest.numbers == "float16" else 1e-6  # Lance rounds the query to float16 as well
    for k in (0, 1, 7, 1000):
        for query in queries(4):
            found = kept.nearest(query, k, langs, tree)
            with monkeypatch.context() as small:
                small.setattr(vectors_in_memory, "MOST_BYTES", 0)
                right = scanned.nearest(query, k, langs, tree) if k else []
            assert len(found) == len(right)
            np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in right], atol=atol)
            if k == 1000:
                # All that the filter leaves: the same passages, whole, whatever the order among equal ones.
                assert {hit.passage.id: hit.passage for hit in found} == {hit.passage.id: hit.passage for hit in right}
    assert {hit.passage.id for hit in kept.nearest(query, 1000)} == {passage.id for passage in passages}


def test_equal_ones_come_in_the_order_of_the_table(made):
    folder, passages, _ = made
    index = LanceIndex(folder)
    place = {passage.id: number for number, passage in enumerate(passages)}
    for query in queries(5):
        found = index.nearest(query, len(passages))
        assert [place[hit.passage.id] for hit in found] == [
            place[hit.passage.id] for hit in sorted(found, key=lambda hit: (-hit.score, place[hit.passage.id]))
        ]
        equal = [one.passage.id for one, other in pairwise(found) if one.score == other.score]
        assert len(equal) == PASSAGES_MADE // 3  # bit for bit, wherever in the table they stand
        for k in (1, 2, 3, 50):
            assert index.nearest(query, k) == found[:k]


def test_each_language_by_itself(made):
    folder, _, _ = made
    index = LanceIndex(folder)
    where = checked_filter("year >= 2004", index.fields())
    for tree in (None, where):
        for query in queries(3):
            asked = ["zh", "xx", "de"]
            each = index.nearest_in_each(query, 6, asked, tree)
            assert each == [index.nearest(query, 6, [lang], tree) for lang in asked]
            assert [len(found) for found in each] == [6, 0, 6]
    assert index.nearest_in_each(query, 6, []) == []


def test_balanced_search_is_the_same_above_the_bound(made, monkeypatch):
    folder, _, vectors = made

    def embed(texts, role):
        return vectors[: len(texts)]

    def hits():
        searcher = Searcher(LanceIndex(folder), embed)
        return searcher.search("x", k=9, fair="balanced"), searcher.search(
            "x", k=9, fair="balanced", where="year > 2003"
        )

    kept = hits()
    monkeypatch.setattr(vectors_in_memory, "MOST_BYTES", 0)
    for ours, theirs in zip(kept, hits(), strict=True):
        assert len(ours) == len(theirs) == 9
        np.testing.assert_allclose([hit.score for hit in ours], [hit.score for hit in theirs], atol=5e-2)
        assert {hit.lang for hit in ours} == set(LANGS)


def test_conditions_are_kept_apart_and_scanned_once(made):
    folder, passages, _ = made
    table = watched(folder)
    vectors = Resident(table, len(passages))
    assert table.scans == [["lang", "vector"]]
    (query,) = queries(1)
    years = {
        f"meta_number_year = {year}": {n for n in range(PASSAGES_MADE) if 2000 + n % 10 == year}
        for year in (2003, 2004)
    }
    ids = connect(folder).open_table(PASSAGES).search().select(["id"]).with_row_id(True).limit(PASSAGES_MADE).to_arrow()
    number = {row: int(id[1:]) for id, row in zip(ids["id"].to_pylist(), ids["_rowid"].to_pylist(), strict=True)}
    for _ in range(3):
        for condition, right in years.items():
            found, _ = vectors.nearest(query, 1000, None, condition)
            assert {number[row] for row in found.tolist()} == right
            found, _ = vectors.nearest(query, 1000, ["en"], condition)
            assert {number[row] for row in found.tolist()} == {n for n in right if n % 3 == 1}
    assert table.scans == [["lang", "vector"], ["lang"], ["lang"]]


def test_conditions_asked_for_longest_ago_are_forgotten(made, monkeypatch):
    monkeypatch.setattr(vectors_in_memory, "CONDITIONS", 2)
    folder, passages, _ = made
    table = watched(folder)
    vectors = Resident(table, len(passages))
    (query,) = queries(1)
    for year in (2000, 2001, 2000, 2002, 2000):
        vectors.nearest(query, 3, None, f"meta_number_year = {year}")
    assert len(table.scans) == 1 + 3
    vectors.nearest(query, 3, None, "meta_number_year = 2001")
    assert len(table.scans) == 1 + 4


def test_two_threads_at_once_read_the_vectors_once(made, monkeypatch):
    folder, _, _ = made
    index, reads, together = LanceIndex(folder), [], threading.Barrier(4)

    class Counted(Resident):
        def __init__(self, *args):
            reads.append(args)
            super().__init__(*args)

    monkeypatch.setattr("isoglot.search.index.lance.Resident", Counted)

    def search(query):
        together.wait()
        return index.nearest(query, 5)

    asked = queries(4)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(search, asked))
    assert len(reads) == 1
    assert found == [LanceIndex(folder).nearest(query, 5) for query in asked]


def test_what_is_larger_than_the_bound_is_not_read_into_memory(made, monkeypatch):
    folder, passages, _ = made
    monkeypatch.setattr(vectors_in_memory, "MOST_BYTES", len(passages) * DIMENSION * 4)
    assert vectors_in_memory.fits(len(passages), DIMENSION)
    assert not vectors_in_memory.fits(len(passages) + 1, DIMENSION)
    monkeypatch.setattr(vectors_in_memory, "MOST_BYTES", len(passages) * DIMENSION * 4 - 1)

    def never(*args):
        raise AssertionError("read into memory")

    monkeypatch.setattr("isoglot.search.index.lance.Resident", never)
    index = LanceIndex(folder)
    assert len(index.nearest(queries(1)[0], 5)) == 5
    assert [len(found) for found in index.nearest_in_each(queries(1)[0], 5, ["de", "en"])] == [5, 5]


def test_an_open_index_whose_folder_is_lost_says_so(tmp_path):
    folder = write_index(tmp_path / "i", *made_up(30))
    index = LanceIndex(folder)
    (query,) = queries(1)
    assert len(index.nearest(query, 3)) == 3
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="deleted or moved"):
        index.nearest(query, 3)


def test_rows_are_fetched_once_and_within_their_bound(made, monkeypatch):
    folder, _, _ = made
    table = watched(folder)
    all_rows = connect(folder).open_table(PASSAGES).search().select(SHOWN).with_row_id(True).limit(1000).to_arrow()
    right = dict(
        zip(
            all_rows["_rowid"].to_pylist(),
            zip(*(all_rows[name].to_pylist() for name in SHOWN), strict=True),
            strict=True,
        )
    )
    ids = list(right)
    rows = Fetched(table, SHOWN)
    for wanted in (ids[5:8], ids[8:4:-1], [ids[6], ids[6]], []):
        assert rows.rows(wanted) == [right[id] for id in wanted]
    assert table.taken == [ids[5:8], [ids[8]]]
    # Room for two rows: the one asked for longest ago goes.
    largest = max(row_cache.size(row) for row in right.values())
    small = Fetched(table, SHOWN, most=2 * largest)
    table.taken.clear()
    for id in (ids[0], ids[1], ids[0], ids[2], ids[0]):
        assert small.rows([id]) == [right[id]]
    assert table.taken == [[ids[0]], [ids[1]], [ids[2]]]
    none = Fetched(table, SHOWN, most=0)
    assert none.rows(ids[:3]) == none.rows(ids[:3]) == [right[id] for id in ids[:3]]


def test_a_hit_of_one_search_is_not_changed_by_another(made):
    folder, _, _ = made
    index = LanceIndex(folder)
    (query,) = queries(1)
    first = index.nearest(query, 1)[0].passage
    first.metadata["year"] = "changed"
    assert index.nearest(query, 1)[0].passage.metadata["year"] != "changed"


@pytest.fixture
def kept_vectors(monkeypatch):
    """References to all vectors that are read into memory, which do not keep them there."""
    made = []

    class Noted(Resident):
        def __init__(self, *args):
            made.append(weakref.ref(self))
            super().__init__(*args)

    monkeypatch.setattr("isoglot.search.index.lance.Resident", Noted)
    return made


def test_what_is_let_go_of_is_freed_at_once(made, kept_vectors):
    """A server replaces what it has open by the next version: nobody closes the old one, nor may it stay."""
    folder, _, _ = made

    def embed(texts, role):
        return np.eye(len(texts), DIMENSION, dtype=np.float32)  # as the index says of its encoder

    searcher = Searcher.open(folder, embed)
    searcher.search("x", where="year > 2003")
    searcher.facets(["lang"])
    (kept,) = kept_vectors
    assert kept() is not None
    gc.disable()
    try:
        del searcher
        assert kept() is None
    finally:
        gc.enable()


def test_a_closed_index_holds_nothing(made, kept_vectors):
    folder, _, _ = made
    index = LanceIndex(folder)
    index.nearest(queries(1)[0], 5)
    (kept,) = kept_vectors
    assert kept() is not None
    index.close()
    assert kept() is None
