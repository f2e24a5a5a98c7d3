"""The search benchmark's cost curve, and that a run that stops keeps what it had."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "performance"


@pytest.fixture
def search(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("benchmark_search", BENCHMARKS / "search.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("curve", None)


@pytest.fixture
def curve(search):
    return sys.modules["curve"]


def test_sums_of_terms_are_found_again(curve):
    rows = np.array([1e4, 1e5, 1e6])
    terms = np.stack([rows, np.ones(3), rows**1.5], axis=1)
    made = curve.fit(terms, 14 + 4e-4 * rows + 3e-6 * rows**1.5)
    assert made.coefficients == pytest.approx([4e-4, 14, 3e-6])
    assert made.at((1e8, 1, 1e12)) == pytest.approx(14 + 4e4 + 3e6)
    assert made.worst == pytest.approx(0, abs=1e-9)


def test_no_coefficient_is_below_zero(curve):
    # Cheaper at more work: the slope stays at zero, and of (c/2 - 1)^2 + (c - 1)^2 the least is at c = 6/5.
    made = curve.fit([[1, 1], [10, 1]], [2, 1])
    assert made.coefficients == pytest.approx([0, 1.2])
    assert made.worst == pytest.approx(0.4)


def test_two_sizes_are_too_few_for_three_terms(curve):
    made = curve.fit([[1000, 1, 1000**1.5], [3000, 1, 3000**1.5]], [5, 9])
    assert made.coefficients == pytest.approx([0.002, 3])
    assert made.at((10_000, 1, 10_000**1.5)) == pytest.approx(23)


def entries(sizes):
    """Exact search 10 ms and 0.5 us a row, in memory 1 ms; ANN 2 ms and 1 us for each row read and each centroid."""
    found = []
    for rows in sizes:
        partitions = int(rows**0.5)
        shared = {"rows": rows, "build_s": 2 + rows / 1e4, "disk_mb": rows / 500}
        found.append({**shared, "system": "isoglot-exact", "p50_ms": 1.0 if rows < 100_000 else 10 + 5e-4 * rows})
        found.append({**shared, "system": "lancedb-exact", "p50_ms": 10 + 5e-4 * rows})
        setting = {"probes": 16, "partitions": partitions}
        read = partitions + 16 * rows / partitions
        found.append({**shared, "system": "isoglot-ann", "p50_ms": 2 + 1e-3 * read, "setting": setting})
        found.append({"rows": rows, "system": "faiss-hnsw", "error": "out of memory"})
    return found


def test_the_curve_reads_off_what_the_sizes_say(search):
    build, disk, exact, ann = search.cost_curve(entries([10_000, 250_000, 1_000_000]))
    assert build["read_off"] == pytest.approx(2 + 1e4)
    assert disk["read_off"] == pytest.approx(2e5)
    assert exact["read_off"] == pytest.approx(50_010)
    assert ann["read_off"] == pytest.approx(2 + 1e-3 * (10_000 + 160_000))
    assert [point["rows"] for point in ann["points"]] == [10_000, 250_000, 1_000_000]
    words = search.in_words([build, disk, exact, ann])
    assert "195 GiB on disk, 2.8 hours" in words
    assert "50.0 s a query for exact search and 172 ms for ANN search at 16 of 10000 partitions" in words
    assert search.cost_curve(entries([10_000])) == []
    assert "two sizes" in search.in_words([])


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (None, 1)])
def test_a_run_that_stops_keeps_what_it_had(search, monkeypatch, tmp_path, capsys, stop, code):
    def run(rows, measured, systems):
        yield {**entries([rows])[0], "p99_ms": 1.0, "recall@10": 1.0, "over_lancedb": 1.0}
        if stop:
            raise stop
        yield {"rows": rows, "system": "faiss-hnsw", "error": "out of memory"}

    monkeypatch.setattr(search, "run", run)
    monkeypatch.setattr(search, "query_encoding", lambda: None)
    monkeypatch.setattr(sys, "argv", ["search.py", "--rows", "1000", "--json", str(tmp_path / "r.json")])
    with pytest.raises(SystemExit) as left:
        search.main()
    assert left.value.code == code
    record = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert not record["complete"]
    assert [entry["system"] for entry in record["entries"]] == ["isoglot-exact", "faiss-hnsw"][: 1 if stop else 2]
    assert "GOAL isoglot-exact-over-lancedb-1000 1.0 <=1.15 reached" in capsys.readouterr().out
