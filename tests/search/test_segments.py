"""An approximate index that is made in segments is found through like one that is made at once."""

import shutil

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from lancedb.index import IvfRq

from isoglot.core.executors import Here
from isoglot.core.on_ray import OnRay
from isoglot.search.index import approximate, segments
from isoglot.search.index.lance_tables import PASSAGES, connect, table_uri
from support.dying import die
from support.ray_runtime import ray_runtime

D, ROWS, FILES = 32, 6000, 4


def groups(rows, seed=0):
    """Unit vectors in clusters, which differ from file to file in where they lie and in how large their numbers are."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(60, D))[rng.integers(0, 60, rows)] + 0.5 * rng.normal(size=(rows, D))
    vectors[: rows // FILES, 0] += 30
    vectors[rows // FILES : rows // 2, : D // 2] *= 9
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def table_of(folder, vectors, kind, gone=(), files=FILES):
    """A table in several files, from which rows are gone."""
    import lance

    uri = table_uri(folder, PASSAGES)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(kind.to_pandas_dtype()).ravel()), D)
    rows = pa.table({"id": [str(n) for n in range(len(vectors))], "vector": column})
    dataset = lance.write_dataset(rows, uri, max_rows_per_file=len(vectors) // files)
    if len(gone):
        dataset.delete(f"id IN ({', '.join(repr(str(n)) for n in gone)})")
    return connect(folder).open_table(PASSAGES)


def recall(table, vectors, left, probes):
    """Of the ten nearest among the rows that are left; nothing else is ever found."""
    asked = vectors[np.linspace(0, len(vectors) - 1, 60).astype(int)]
    shares = []
    for query, scores in zip(asked, asked @ np.where(left[:, None], vectors, -1).T, strict=True):
        search = table.search(query, vector_column_name="vector").distance_type("cosine").limit(10)
        found = search.nprobes(probes).refine_factor(4).select(["id", "_distance"]).to_arrow()["id"].to_pylist()
        found = [int(name) for name in found]
        assert len(set(found)) == 10
        assert left[found].all()
        scores = np.where(left, scores, -np.inf)
        shares.append(len(set(found) & set(np.argsort(-scores)[:10].tolist())) / 10)
    return float(np.mean(shares))


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16()], ids=str)
def test_recall_is_that_of_one_piece(tmp_path, kind):
    """Also where a whole file is gone, and rows of others; then the index is brought up to date."""
    vectors = groups(ROWS)
    gone = [3, 17, ROWS - 1, *range(ROWS // FILES, ROWS // 2)]
    left = np.ones(ROWS, bool)
    left[gone] = False
    table, probes = table_of(tmp_path / "a", vectors, kind, gone), 2
    approximate.build(tmp_path / "a", table, Here(), tmp_path / "kept", "k")
    assert len(list((tmp_path / "a" / "lance" / "passages.lance" / "_indices").iterdir())) == 1, "no leftovers"
    one = table_of(tmp_path / "b", vectors, kind, gone)
    number = approximate.partitions(int(left.sum()))
    one.create_index("vector", config=IvfRq(distance_type="cosine", num_partitions=number, num_bits=segments.BITS))
    ours, theirs = recall(table, vectors, left, probes), recall(one, vectors, left, probes)
    print(f"recall@10 of {FILES - 1} segments {ours:.3f}, of one piece {theirs:.3f}")
    assert ours >= theirs - 0.05
    assert recall(table, vectors, left, 200) >= 0.99
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors[gone].astype(kind.to_pandas_dtype()).ravel()), D)
    table.add(pa.table({"id": [str(n) for n in gone], "vector": column}))
    table.optimize()
    assert recall(table, vectors, np.ones(ROWS, bool), 200) >= 0.99


def test_a_table_of_one_file_is_one_segment(tmp_path):
    vectors = groups(600)
    table = table_of(tmp_path, vectors, pa.float32(), gone=[7], files=1)
    approximate.build(tmp_path, table, Here(), tmp_path / "kept", "k")
    left = np.arange(600) != 7
    assert recall(table, vectors, left, 200) >= 0.99
    assert [index.index_type for index in table.list_indices()] == ["IvfRq"]


class Counted(Here):
    """Does tasks here, at most so many."""

    def __init__(self, most=None):
        self.done, self._most = 0, most

    def run(self, opener, tasks):
        for result in super().run(opener, tasks):
            if self.done == self._most:
                raise KeyboardInterrupt
            self.done += 1
            yield result


def test_what_is_finished_is_not_made_again(tmp_path):
    vectors, kept = groups(ROWS), tmp_path / "kept"
    table = table_of(tmp_path / "a", vectors, pa.float32())
    with pytest.raises(KeyboardInterrupt):
        approximate.build(tmp_path / "a", table, Counted(most=3), kept, "k")
    # As after a kill: the same rows are stored anew.
    shutil.rmtree(tmp_path / "a")
    table, again = table_of(tmp_path / "a", vectors, pa.float32()), Counted()
    approximate.build(tmp_path / "a", table, again, kept, "k")
    assert again.done == 1
    assert recall(table, vectors, np.ones(ROWS, bool), 200) >= 0.99
    # Another vector, and the segment of its file is another; another table, and all are.
    for change, key, made in ((5, "k", 1), (None, "other", FILES)):
        shutil.rmtree(tmp_path / "a")
        turned = vectors.copy()
        if change is not None:
            turned[change] = -turned[change]
        table, again = table_of(tmp_path / "a", turned, pa.float32()), Counted()
        approximate.build(tmp_path / "a", table, again, kept, key)
        assert again.done == made
        assert recall(table, turned, np.ones(ROWS, bool), 200) >= 0.99


def test_vectors_that_cannot_be_coded_in_four_bits_are_in_eight(tmp_path):
    vectors = groups(600)[:, :27]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 27)
    rows = pa.table({"id": [str(n) for n in range(600)], "vector": column})
    table = lancedb.connect(tmp_path / "lance").create_table(PASSAGES, rows)
    approximate.build(tmp_path, table, Here(), tmp_path / "kept", "k")
    assert [index.index_type for index in table.list_indices()] == ["IvfSq"]
    assert recall(table, vectors, np.ones(600, bool), 200) >= 0.98


class Mortal:
    """Makes segments; the first process that gets to the file of number 2 dies."""

    def __init__(self, maker, mark):
        self.maker, self.mark = maker, mark

    def __call__(self):
        make = self.maker()

        def making(task):
            if task.fragment == 2 and not self.mark.exists():
                self.mark.touch()
                die()
            return make(task)

        return making


class OnMortals(OnRay):
    """Workers of Ray's of which one dies."""

    def run(self, opener, tasks):
        return super().run(Mortal(opener, self.mark), tasks)


@pytest.mark.scale
def test_a_worker_is_killed_and_its_segment_is_made_again(tmp_path, capfd):
    pytest.importorskip("ray")
    vectors = groups(ROWS)
    table = table_of(tmp_path / "a", vectors, pa.float32())
    executor = OnMortals(workers=2)
    object.__setattr__(executor, "mark", tmp_path / "died")
    with ray_runtime():
        approximate.build(tmp_path / "a", table, executor, tmp_path / "kept", "k")
    assert (tmp_path / "died").exists()
    assert "ray: a worker died" in capfd.readouterr().err
    assert recall(table, vectors, np.ones(ROWS, bool), 200) >= 0.99
    assert recall(table, vectors, np.ones(ROWS, bool), 8) >= 0.9


def test_which_of_several_equal_passages_is_found_does_not_matter_to_the_recall(tmp_path):
    vectors = groups(60)[np.random.default_rng(1).integers(0, 60, ROWS)]
    table = table_of(tmp_path, vectors, pa.float32())
    approximate.build(tmp_path, table, Here(), tmp_path / "kept", "k")
    found = approximate.tune(table, ROWS)
    assert (found["recall"], found["probes"]) == (1.0, 8), "a hundred passages are as near as each of the ten nearest"
    apart = table_of(tmp_path / "apart", groups(ROWS), pa.float32())
    approximate.build(tmp_path / "apart", apart, Here(), tmp_path / "kept", "k")
    assert 0.5 < approximate._recall(apart, groups(ROWS)[:50], approximate._exact(apart, groups(ROWS)[:50]), 1)[0] < 1


@pytest.mark.parametrize("different", [1, 100])
def test_fewer_different_vectors_than_partitions(tmp_path, different):
    """Lance's hierarchical k-means, from 257 partitions on, refuses to form more clusters than there are vectors."""
    rows = 70_000
    vectors = groups(100)[np.arange(rows) % different]
    table = table_of(tmp_path, vectors, pa.float32())
    assert approximate.partitions(rows) > 256
    approximate.build(tmp_path, table, Here(), tmp_path / "kept", "k")
    search = table.search(vectors[7], vector_column_name="vector").distance_type("cosine").limit(10)
    found = search.nprobes(8).refine_factor(4).select(["_distance"]).to_arrow()["_distance"].to_numpy()
    assert len(found) == 10
    assert (found < 1e-5).all()
