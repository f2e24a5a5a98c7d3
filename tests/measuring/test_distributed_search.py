"""Exact search by workers gives the bits of one process, whoever dies and whoever is first."""

import os
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from isoglot.core.errors import InputError
from isoglot.core.on_ray import OnRay
from isoglot.encoders import vector_files
from isoglot.measuring.disk_search import search_shards
from support.dying import die
from support.ray_runtime import ray_runtime
from support.shards import corpus


def assert_same(one, other):
    for mine, theirs in zip((*one.own, *one.pooled, one.gold), (*other.own, *other.pooled, other.gold), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert one.sizes == other.sizes


@dataclass
class Backwards:
    """Does some tasks at a time, the last one first; everything is pickled on its way."""

    workers: int
    threads: int = 1
    done: int = 0
    sent: int = 0

    def run(self, opener, tasks):
        work = pickle.loads(pickle.dumps(opener))()
        tasks = iter(tasks)
        while some := [task for _, task in zip(range(2 * self.workers), tasks, strict=False)]:
            for task in reversed(some):
                answer = pickle.dumps(work(pickle.loads(pickle.dumps(task))))
                self.done, self.sent = self.done + 1, self.sent + len(answer)
                yield task, pickle.loads(answer)


@pytest.mark.parametrize("langs", [("de", "th"), ("de",)])
@pytest.mark.parametrize(("depth", "memory"), [(5, 10**9), (40, 20_000), (700, 10**6)])
def test_runs_that_come_back_in_any_order_give_one_search(tmp_path, monkeypatch, langs, depth, memory):
    monkeypatch.setattr(vector_files, "PART", 16)
    data, *_ = corpus(tmp_path / "v", 600, files=7, langs=langs)
    alone = search_shards(tmp_path / "v", data, depth=depth, memory=memory)
    backwards = Backwards(workers=2)
    found = search_shards(tmp_path / "v", data, depth=depth, memory=memory, executor=backwards)
    assert_same(found, alone)
    assert (found.pooled is found.own) == (len(langs) == 1)
    assert (backwards.done > 5) == (memory == 20_000)


def test_what_is_too_low_by_now_is_not_sent(tmp_path, monkeypatch):
    """Each query's best stand in the first file: later ones have nothing to tell."""
    monkeypatch.setattr(vector_files, "PART", 50)
    sent = []
    for files in (2, 20):
        data, *_ = corpus(tmp_path / str(files), 50 * files, files=files)
        first = vector_files.vector_files(tmp_path / str(files))[1]
        best = next(iter(vector_files.read_shards(first)))
        vectors = np.repeat(np.eye(6, dtype=np.float32)[:1] + 1, len(best.ids), axis=0)
        vector_files.write_shard(first, best.ids, best.langs, best.roles, vectors)
        backwards = Backwards(workers=1)
        search_shards(tmp_path / str(files), data, depth=3, memory=3_000, executor=backwards)
        sent.append(backwards.sent / backwards.done)
    assert sent[1] < sent[0]


@dataclass
class Mortal:
    """Workers of which one is ended by SIGKILL when it has searched a second run and not said so yet."""

    how: OnRay
    mark: str

    @property
    def workers(self):
        return self.how.workers

    @property
    def threads(self):
        return self.how.threads

    def run(self, opener, tasks):
        mark = self.mark

        def mortal():
            work, calls = opener(), 0

            def once_mortal(task):
                nonlocal calls
                calls += 1
                result = work(task)
                if calls == 2 and not os.path.exists(mark):
                    open(mark, "w").close()
                    die()
                return result

            return once_mortal

        yield from self.how.run(mortal, tasks)


@pytest.mark.scale
def test_a_worker_is_killed_and_the_bits_are_the_same(tmp_path, monkeypatch, capfd):
    pytest.importorskip("ray")
    monkeypatch.setattr(vector_files, "PART", 16)
    data, *_ = corpus(tmp_path / "v", 600, files=7)
    with threadpool_limits(1, user_api="blas"):
        alone = search_shards(tmp_path / "v", data, depth=20, memory=20_000)
    workers = Mortal(OnRay(workers=2), str(tmp_path / "died"))
    with ray_runtime():
        found = search_shards(tmp_path / "v", data, depth=20, memory=20_000, executor=workers)
    assert (tmp_path / "died").exists()
    assert "ray: a worker died" in capfd.readouterr().err
    assert_same(found, alone)


@pytest.mark.scale
def test_workers_that_compute_otherwise_are_refused(tmp_path):
    """The same library with the kernels of an older processor."""
    pytest.importorskip("ray")
    data, *_ = corpus(tmp_path / "v", 60)
    with (
        ray_runtime(OPENBLAS_CORETYPE="Prescott"),
        pytest.raises(InputError, match=r"a worker's arithmetic \(openblas .*differs from this machine's \(openblas"),
    ):
        search_shards(tmp_path / "v", data, executor=OnRay())
