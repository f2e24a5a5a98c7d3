import os
import signal
import socket
import sys
import time

import pytest

from isoglot.core.errors import InputError, IsoglotError, MissingPackageError
from isoglot.core.on_ray import OnRay
from isoglot.core.ray_cluster import ray_runtime as cluster
from support.ray_runtime import ray_runtime

pytest.importorskip("ray")


@pytest.fixture(scope="module", autouse=True)
def runtime():
    """One runtime for all tests here, on this machine, without a page of its own."""
    with ray_runtime():
        yield


def squares(faults):
    """Squares of numbers; some of which do something else before, once: where a file says that it was done, no more."""

    def opener():
        def work(number):
            fault, mark = faults.get(number, (None, ""))
            if fault is not None and not (mark and os.path.exists(mark)):
                if mark:
                    open(mark, "w").close()
                fault()
            return number * number

        return work

    return opener


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    time.sleep(600)


def refuse():
    raise InputError("no good: expected better")


def fail():
    raise ValueError("odd")


def test_a_worker_that_dies_costs_nothing(tmp_path, capfd):
    how = OnRay(workers=2)
    done = sorted(how.run(squares({3: (die, str(tmp_path / "died"))}), iter(range(12))))
    assert done == [(n, n * n) for n in range(12)]
    assert "ray: a worker died" in capfd.readouterr().err


@pytest.mark.scale
def test_a_worker_that_hangs_is_replaced_and_then_an_error(tmp_path, capfd):
    done = sorted(OnRay(workers=1, timeout=10).run(squares({1: (hang, str(tmp_path / "hung"))}), iter(range(3))))
    assert done == [(0, 0), (1, 1), (2, 4)]
    assert "took more than 10 seconds for a task" in capfd.readouterr().err
    with pytest.raises(IsoglotError, match=r"1 workers failed on the same task.*took more than 5 seconds.*`resume`"):
        list(OnRay(workers=1, timeout=5, attempts=1).run(squares({0: (hang, "")}), iter(range(2))))


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (refuse, InputError, "^no good: expected better$"),
        (fail, IsoglotError, r"^ray: a worker failed \(ValueError: odd\)"),
        (die, IsoglotError, "2 workers failed on the same task"),
    ],
)
def test_what_goes_wrong_for_good_is_told(fault, kind, words):
    with pytest.raises(kind, match=words):
        list(OnRay(workers=1, attempts=2).run(squares({1: (fault, "")}), iter(range(3))))


def test_nobody_can_begin():
    with pytest.raises(
        IsoglotError, match=r"within 3 seconds; each worker needs 64 CPUs and 0 GPUs, the cluster has 2 CPUs"
    ):
        list(OnRay(cpus=64, timeout=3).run(squares({}), iter(range(3))))


def test_a_head_that_listens_where_ray_does_not_look(monkeypatch):
    import ray

    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.3")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(InputError, match=f"at {address} .something answers at 127.0.0.1, but Ray .* at 127.0.0.3"):
            list(OnRay(address=address).run(squares({}), iter(range(3))))


def test_sigterm_is_handled_as_before(monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", lambda **_: signal.signal(signal.SIGTERM, lambda *_: sys.exit(15)))  # as it does
    before = signal.getsignal(signal.SIGTERM)
    with cluster(ray, None, cores=1):
        assert signal.getsignal(signal.SIGTERM) == before


def test_tasks_are_read_a_few_ahead_only():
    read = []

    def numbers():
        for number in range(50):
            read.append(number)
            yield number

    ahead = [len(read) - done for done, _ in enumerate(OnRay(workers=2).run(squares({}), numbers()))]
    assert max(ahead) <= 2 * 2 + 1
    assert len(read) == 50


def test_nothing_to_do_starts_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert list(OnRay().run(squares({}), iter(()))) == []
    with pytest.raises(MissingPackageError, match=r"pip install 'isoglot\[ray\]'"):
        list(OnRay().run(squares({}), iter((1,))))


@pytest.mark.parametrize("how", [{"workers": 0}, {"attempts": 0}, {"cpus": -1}, {"gpus": -0.5}, {"timeout": 0}])
def test_senseless_settings_are_refused(how):
    with pytest.raises(InputError, match="expected"):
        OnRay(**how)
