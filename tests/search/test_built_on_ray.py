"""Indexes whose passages are encoded by Ray's workers are those that are made in one process."""

import json
import os
import signal
import subprocess
import sys

import pytest

from isoglot import build_index
from isoglot.cli import run
from isoglot.core.on_ray import OnRay
from isoglot.search.index import shards
from support.copies import everything
from support.dying import CountingWords
from support.encoders import wide_encoder
from support.ray_runtime import ray_runtime
from support.rows import write_jsonl as write

ray = pytest.importorskip("ray")
SIZE = 16


@pytest.fixture(scope="module")
def runtime():
    with ray_runtime():
        yield


@pytest.fixture
def documents(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CHUNK", SIZE)
    made = [{"id": f"d{n}", "text": f"Dokument {n} " + "Wort " * (n % 12), "lang": "de"} for n in range(10 * SIZE)]
    made += [{"id": f"copy{n}", "text": made[n * 7]["text"].strip(), "lang": "de", "seen": n} for n in range(20)]
    return write(tmp_path / "d.jsonl", made)


def test_a_worker_is_killed_and_the_index_is_the_same(tmp_path, documents, runtime, capfd):
    build_index([documents], tmp_path / "here", CountingWords(tmp_path / "here.book"), name="m")
    mortal = CountingWords(tmp_path / "ray.book", dies_at="Dokument 77 ")
    built = build_index([documents], tmp_path / "ray", mortal, name="m", executor=OnRay(workers=2))
    assert "ray: a worker died" in capfd.readouterr().err
    assert (built.shards, built.kept, built.folded) == (10, 0, 20)
    assert everything(tmp_path / "ray") == everything(tmp_path / "here")
    update = write(tmp_path / "u.jsonl", [{"id": "d3", "text": "neu", "lang": "de"}, {"id": "e", "text": "Dokument 3"}])
    how = {"name": "m", "update": True, "by_id": True, "delete": ["d5"]}
    build_index([update], tmp_path / "here", CountingWords(tmp_path / "here.book"), **how)
    built = build_index([update], tmp_path / "ray", mortal, executor=OnRay(workers=1), **how)
    assert (built.added, built.replaced, built.deleted) == (1, 1, 1)
    assert everything(tmp_path / "ray") == everything(tmp_path / "here")


def test_another_encoder_on_the_workers_is_refused(tmp_path, documents, runtime):
    from isoglot.core.errors import InputError

    def other():
        return lambda texts, role: [[len(text) % 7 - 3, *[text.count("e")] * 63] for text in texts]

    with pytest.raises(InputError, match="not the encoder that the index was made with"):
        build_index([documents], tmp_path / "i", CountingWords(tmp_path / "b"), executor=OnRay(), opener=other)


@pytest.mark.scale
@pytest.mark.parametrize(
    ("dying", "finished"),
    [
        ("dies_around(ledger.Ledger, 'put', after=True, call=4)", 4),
        ("dies_around(store.Store, 'add', after=True)", 10),
    ],
)
def test_the_driver_is_killed_and_nothing_finished_is_encoded_again(tmp_path, documents, monkeypatch, dying, finished):
    program = f"""
from pathlib import Path
from isoglot.core.on_ray import OnRay
from isoglot.search.index import building, ledger, shards, store
from support.dying import CountingWords, dies_around

shards.CHUNK = {SIZE}
{dying}
words = CountingWords({str(tmp_path / "first.book")!r})
building.build_index([Path({str(documents)!r})], {str(tmp_path / "ray")!r}, words, name="m", executor=OnRay(workers=2))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment)
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    words = CountingWords(tmp_path / "second.book")
    built = build_index([documents], tmp_path / "ray", words, name="m", executor=OnRay(workers=2), resume=True)
    assert (built.shards, built.kept) == (10, finished)
    assert words.shards(SIZE) == 10 - finished
    build_index([documents], tmp_path / "here", CountingWords(tmp_path / "here.book"), name="m")
    assert everything(tmp_path / "ray") == everything(tmp_path / "here")


def test_the_flags(tmp_path, capsys):
    docs, model = str(write(tmp_path / "d.jsonl", [{"text": "Berg"}])), str(wide_encoder())
    for flags, words in (
        (["--on", "slurm"], "--on slurm: expected ray, or ray=HOST:PORT"),
        (["--on", "ray="], "--on ray=: expected ray"),
        (["--workers", "2"], "give --on ray with them"),
        (["--on", "ray", "--devices", "0,1"], "--devices: only for this machine"),
        (["--on", "ray=127.0.0.1:1"], "no cluster can be reached at 127.0.0.1:1"),
        (["--on", "ray", "--workers", "0"], "--workers"),
    ):
        assert run(["index", docs, "-o", str(tmp_path / "i"), "--model", model, *flags]) == 2
        assert words in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "i").exists()


@pytest.mark.scale
def test_the_commands(tmp_path, capfd):
    """Index, encode and evaluate: the same figures as in one process, and nothing but results on standard output."""
    docs = [{"id": str(n), "text": f"Berg {n}", "lang": "de"} for n in range(40)]
    file, model = str(write(tmp_path / "d.jsonl", docs)), str(wide_encoder())
    elsewhere = ["--on", "ray", "--workers", "2", "--price-per-hour", "2.5"]
    assert run(["index", file, "-o", str(tmp_path / "i"), "--model", model, "--json", *elsewhere]) == 0
    assert json.loads(capfd.readouterr().out)["shards"] == 1
    rows = [
        {"group": str(n), "lang": lang, "query": f"{word} {n}", "passage": f"{word} {n} {n}"}
        for n in range(8)
        for lang, word in (("de", "Berg"), ("en", "mountain"))
    ]
    source = ["--benchmark", "rows", "--rows", str(write(tmp_path / "r.jsonl", rows)), "--model", model]
    figures = []
    for name, flags in (("here", []), ("ray", elsewhere)):
        assert run(["evaluate", *source, "-o", str(tmp_path / name), "--resamples", "0", "--json", *flags]) == 0
        figures.append(json.loads(capfd.readouterr().out))
    assert figures[0]["multilingual"] == figures[1]["multilingual"]
    assert run(["encode", *source, "-o", str(tmp_path / "vectors"), *elsewhere]) == 0
    assert run(["encode", *source, "-o", str(tmp_path / "vectors"), "--resume", *elsewhere]) == 0
    assert "0 shards encoded" in capfd.readouterr().out
