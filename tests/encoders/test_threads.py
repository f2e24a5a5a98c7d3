"""Small batches take the threads that they occupy where threads sleep, and all of them elsewhere."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from isoglot.encoders.threads import threads_for


@pytest.fixture(autouse=True)
def four_threads():
    had = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(had)


@pytest.mark.parametrize(("tokens", "threads"), [(1, 1), (511, 1), (512, 2), (1023, 3), (1024, 4), (4096, 4)])
def test_a_thread_for_every_256_tokens(monkeypatch, tokens, threads):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    with threads_for(tokens):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("policy", ["", "ACTIVE"])
def test_threads_that_spin_are_all_used(monkeypatch, policy):
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    with threads_for(1):
        assert torch.get_num_threads() == 4


def test_other_threads_keep_theirs(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == 4
        with threads_for(1):
            assert other.submit(torch.get_num_threads).result() == 4


def test_they_come_back_after_an_error(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    with pytest.raises(ValueError, match="of a model"), threads_for(1):
        raise ValueError("of a model")
    assert torch.get_num_threads() == 4
