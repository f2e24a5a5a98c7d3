"""Search in shards against one sorted matrix of scores."""

import os
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from isoglot.core.errors import InputError
from isoglot.encoders import vector_files
from isoglot.encoders.to_disk import Entry, encode_shards
from isoglot.encoders.vector_files import write_shard
from isoglot.measuring.disk_search import ranks_of, search_shards, ties_of
from support.shards import LANGS, corpus


@pytest.mark.parametrize(("depth", "memory"), [(5, 10**9), (40, 20_000), (200, 10**6)])
def test_blocks_give_the_order_of_one_sort(tmp_path, depth, memory):
    data, scores, asking, held = corpus(tmp_path / "v", 120)
    found = search_shards(tmp_path / "v", data, depth=depth, memory=memory)
    for q, row in enumerate(scores):
        for best, pool in ((found.pooled, np.arange(120)), (found.own, np.flatnonzero(held == asking[q]))):
            wanted = pool[np.argsort(-row[pool], kind="stable")][:depth]
            np.testing.assert_array_equal(best.positions[q, : len(wanted)], wanted)
            np.testing.assert_allclose(best.scores[q, : len(wanted)], row[wanted], rtol=1e-6)
            assert [LANGS[code] for code in best.langs[q, : len(wanted)]] == held[wanted].tolist()
            assert (best.positions[q, len(wanted) :] == -1).all()
            assert (best.langs[q, len(wanted) :] == -1).all()
    assert found.sizes == [int((held == code).sum()) for code in LANGS]
    assert found.gold.tolist() == [position for n in range(9) for position in (n, n + 7)]


def test_one_language_is_its_own_pool(tmp_path):
    data, scores, *_ = corpus(tmp_path / "v", 50, langs=("de",))
    found = search_shards(tmp_path / "v", data, depth=10)
    assert found.pooled is found.own
    offsets = np.arange(0, 19, 2)
    ranks = ranks_of(found.own, offsets, found.gold)
    order = np.argsort(-scores, axis=1, kind="stable")
    for entry, (query, position) in enumerate(zip(np.repeat(np.arange(9), 2), found.gold, strict=True)):
        rank = 1 + int(np.flatnonzero(order[query] == position)[0])
        assert ranks[entry] == (rank if rank <= 10 else np.inf)
    assert ties_of(found.own, offsets, ranks) > 0


def peak_of(work):
    """Largest sum of what Python and NumPy held at one time, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def search_peaks(folder, sizes):
    """Peaks of searching so many passages in as many files, read in equal parts, once everything is imported."""
    vector_files.PART = 64
    peaks = []
    for passages in (sizes[0], *sizes):
        data, *_ = corpus(folder / str(len(peaks)), passages, files=64)
        peaks.append(peak_of(partial(search_shards, folder / str(len(peaks)), data, depth=5)))
    return peaks[1:]


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    # In a process of its own: threads that other tests left behind would be counted too.
    program = (
        "import runpy, sys, pathlib\n"
        "peaks = runpy.run_path(sys.argv[1])['search_peaks'](pathlib.Path(sys.argv[2]), [*map(int, sys.argv[3:])])\n"
        "print(*peaks)\n"
    )
    sizes = (4_096, 32_768)
    done = subprocess.run(
        [sys.executable, "-c", program, __file__, str(tmp_path), *map(str, sizes)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    small, large = map(int, done.stdout.split())
    # One number kept of each passage would be four bytes or more.
    assert (large - small) / (sizes[1] - sizes[0]) < 1


def test_encoding_holds_no_more_than_a_shard(tmp_path):
    def entries(number):
        return (Entry(f"p{n}", "de", "passage", f"passage number {n}") for n in range(number))

    peaks = []
    for number in (2_000, 16_000):
        folder = tmp_path / str(number)
        folder.mkdir()
        work = partial(
            encode_shards, entries(number), folder, lambda: lambda texts, role: np.ones((len(texts), 4)), {}, size=500
        )
        peaks.append(peak_of(work))
    assert peaks[1] < peaks[0] + 100_000


def test_passages_without_a_language_are_refused(tmp_path):
    data, *_ = corpus(tmp_path / "v", 20)
    write_shard(Path(tmp_path / "v" / "c.parquet"), ["p99"], [""], ["passage"], np.ones((1, 6), np.float32))
    with pytest.raises(InputError, match="passages in no language"):
        search_shards(tmp_path / "v", data)
