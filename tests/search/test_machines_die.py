"""A machine of a cluster that dies while it encodes costs an index nothing."""

import os

import pytest

from isoglot import build_index
from isoglot.core.on_ray import OnRay
from isoglot.search.index import shards
from support.copies import everything
from support.dying import CountingWords, daemon_dies, machine_dies
from support.ray_runtime import ray_cluster
from support.rows import write_jsonl as write

pytest.importorskip("ray")
SIZE = 16


@pytest.mark.scale
@pytest.mark.parametrize(("way", "workers"), [(machine_dies, 1), (daemon_dies, 2)])
def test_a_machine_is_killed_and_the_index_is_the_same(tmp_path, monkeypatch, capfd, way, workers):
    """By SIGKILL, in the middle of a shard; a worker on the other machine does it again."""
    monkeypatch.setattr(shards, "CHUNK", SIZE)
    docs = [{"id": f"d{n}", "text": f"Dokument {n} " + "Wort " * (n % 12), "lang": "de"} for n in range(10 * SIZE)]
    file = write(tmp_path / "d.jsonl", docs)
    build_index([file], tmp_path / "here", CountingWords(tmp_path / "here.book"), name="m")
    mortal = CountingWords(tmp_path / "ray.book", dies_at="Dokument 77 ", way=way)
    with ray_cluster(machines=2) as address:
        how = OnRay(address=address, workers=workers, timeout=300)
        built = build_index([file], tmp_path / "ray", mortal, name="m", executor=how)
    assert os.path.exists(f"{mortal.book}.died")
    assert ("ray: a worker died" in capfd.readouterr().err) or way is daemon_dies
    assert (built.shards, built.kept, built.added) == (10, 0, 10 * SIZE)
    assert everything(tmp_path / "ray") == everything(tmp_path / "here")
