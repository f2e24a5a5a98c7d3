"""An encoder in a process of its own: the same vectors, the same errors, and started anew where it died."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from isoglot.core.errors import InputError, IsoglotError
from isoglot.encoders.embedder import Encoder
from isoglot.encoders.encoder_process import EncoderProcess
from isoglot.encoders.light import open_light
from isoglot.encoders.opening import open_embedder
from isoglot.encoders.options import ModelOptions
from support.apart import Odd, open_odd, open_slowly, panics, pid_of, unsendable


def _gone(pid: int, seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_vectors_and_facts_are_those_of_the_encoder(tiny_model: Path) -> None:
    options = ModelOptions(length=24, precision="fp32")
    here = open_light(str(tiny_model), options) or open_embedder(str(tiny_model), options)
    apart = EncoderProcess(partial(open_embedder, str(tiny_model), options))
    try:
        assert isinstance(apart, Encoder)
        assert (apart.name, apart.device, apart.length) == (here.name, here.device, 24)
        texts = ["Ein Berg", "a " * 50, "Ein Berg"]
        there = apart.encoded(texts, "query")
        assert (there.texts, there.cut, there.length) == (2, 1, 24)
        np.testing.assert_allclose(there.vectors, here.encoded(texts, "query").vectors, atol=1e-5)
        assert apart([], "query").shape[0] == 0
    finally:
        apart.close()


def test_an_encoder_that_cannot_be_opened_says_so_here(warm_processes: None) -> None:
    with pytest.raises(InputError, match=r"no such model"):
        EncoderProcess(partial(open_embedder, "./nowhere"))
    with pytest.raises(IsoglotError, match=r"ended while opening the model \(exit code 7"):
        EncoderProcess(partial(os._exit, 7))  # type: ignore[arg-type]


@pytest.fixture
def odd() -> EncoderProcess:
    apart = EncoderProcess(open_odd, patience=3)
    yield apart
    apart.close()


def test_errors_come_back_as_they_are_and_end_nothing(odd: EncoderProcess) -> None:
    before = odd.ask(pid_of)
    with pytest.raises(InputError, match="a text of nothing") as raised:
        odd(["refused"], "query")
    assert raised.value.exit_code == 2
    with pytest.raises(OSError, match="a file of the model is gone"):
        odd(["unreadable"], "query")
    with pytest.raises(IsoglotError, match="UnsendableError: told twice"):
        odd(["unsendable"], "query")
    assert odd.ask(pid_of) == before


def test_a_process_that_was_killed_is_started_anew(odd: EncoderProcess, caplog: pytest.LogCaptureFixture) -> None:
    before = odd.ask(pid_of)
    os.kill(before, signal.SIGKILL)
    assert odd(["one"], "query").tolist() == [[3.0, 1.0]]
    assert odd.ask(pid_of) != before
    assert "starting it again" in caplog.text


def test_a_text_that_kills_it_every_time_is_an_error_and_the_next_is_answered(odd: EncoderProcess) -> None:
    with pytest.raises(IsoglotError, match="the process of the encoder died"):
        odd(["deadly"], "query")
    assert odd(["one"], "passage").tolist() == [[3.0, 0.0]]


def test_one_that_hangs_is_ended(odd: EncoderProcess) -> None:
    before, began = odd.ask(pid_of), time.monotonic()
    with pytest.raises(IsoglotError, match=r"took more than 3 seconds and was stopped"):
        odd(["hang"], "query")
    assert time.monotonic() - began < 15
    assert _gone(before)
    assert odd(["one"], "query").tolist() == [[3.0, 1.0]]


def test_others_are_answered_while_one_takes_long_and_each_gets_its_own(odd: EncoderProcess) -> None:
    with ThreadPoolExecutor(12) as pool:
        slow = pool.submit(odd, ["slow"], "query")
        texts = ["x" * size for size in range(1, 200)]
        began = time.monotonic()
        found = list(pool.map(lambda text: odd([text], "query")[0, 0], texts))
        assert found == [len(text) for text in texts]
        assert time.monotonic() - began < 1.5
        assert slow.result().tolist() == [[4.0, 1.0]]


def test_what_stops_a_group_of_processes_does_not_stop_it_but_closing_does(odd: EncoderProcess) -> None:
    pid = odd.ask(pid_of)
    for told in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, told)
    assert odd.ask(pid_of) == pid
    threading.Thread(target=odd.close).start()
    assert _gone(pid)
    with pytest.raises(IsoglotError, match="is closed"):
        odd(["one"], "query")


def test_what_cannot_be_sent_is_an_error_and_the_next_is_answered(odd: EncoderProcess) -> None:
    before = odd.ask(pid_of)
    with pytest.raises(IsoglotError, match="_Unpicklable: panicked"):
        odd.ask(panics)
    with pytest.raises(IsoglotError, match="an answer that cannot be sent"):
        odd.ask(unsendable)
    assert odd.ask(pid_of) == before


def test_one_that_does_not_even_read_is_ended_in_time(odd: EncoderProcess) -> None:
    pid, began = odd.ask(pid_of), time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(IsoglotError, match="took more than 3 seconds"):
        odd(["x" * 2**21], "query")  # more than a pipe holds
    assert time.monotonic() - began < 20
    assert odd(["one"], "query").tolist() == [[3.0, 1.0]]


def test_many_threads_lose_nothing_while_it_is_killed_again_and_again() -> None:
    # On a busy machine a new process takes longer than the fixture's patience.
    odd, stop, answered = EncoderProcess(open_odd), threading.Event(), [0] * 6

    def ask(number: int) -> None:
        while not stop.is_set():
            assert odd(["x" * (number + 1)], "query").tolist() == [[number + 1.0, 1.0]]
            answered[number] += 1

    def wait_until_all_were_answered_since(before: list[int]) -> None:
        until = time.monotonic() + 60
        while not all(now > then for now, then in zip(answered, before, strict=True)):
            assert time.monotonic() < until
            for task in tasks:
                assert not task.done() or task.exception() is None, task.exception()
            time.sleep(0.01)

    with closing(odd), ThreadPoolExecutor(6) as pool:
        tasks = [pool.submit(ask, number) for number in range(6)]
        try:
            for _ in range(3):
                wait_until_all_were_answered_since(list(answered))
                os.kill(odd.ask(pid_of), signal.SIGKILL)  # nobody is killed twice over one question
            wait_until_all_were_answered_since(list(answered))
        finally:
            stop.set()
        for task in tasks:
            task.result()


def test_whoever_waits_while_it_dies_over_others_is_answered_in_the_end() -> None:
    apart, stop = EncoderProcess(open_odd, at_once=1), threading.Event()

    def kill() -> None:
        while not stop.is_set():
            with pytest.raises(IsoglotError, match="died"):
                apart(["deadly"], "query")

    try:
        with ThreadPoolExecutor(6) as pool:
            killers = [pool.submit(kill) for _ in range(5)]
            try:
                for _ in range(3):
                    assert apart(["xx"], "query").tolist() == [[2.0, 1.0]]
            finally:
                stop.set()
            for killer in killers:
                killer.result()
    finally:
        apart.close()


def test_one_that_hangs_when_it_is_opened_again_is_ended_and_keeps_nobody_from_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISOGLOT_TEST_OPENED", str(tmp_path / "opened"))
    apart = EncoderProcess(open_slowly, patience=2)
    os.kill(apart.ask(pid_of), signal.SIGKILL)
    with pytest.raises(IsoglotError, match="took too long to open the model"):
        apart.ask(pid_of)
    apart = EncoderProcess(open_odd)
    monkeypatch.setattr(apart, "_opener", open_slowly)
    os.kill(apart.ask(pid_of), signal.SIGKILL)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(apart.ask, pid_of)
        time.sleep(1)
        assert not asked.done()
        apart.close()
        with pytest.raises(IsoglotError, match="ended while opening the model"):
            asked.result(10)


def test_closed_streams_keep_nobody_from_opening() -> None:
    script = (
        "from isoglot.encoders.encoder_process import EncoderProcess\n"
        "from support.apart import open_odd, pid_of\n"
        "if __name__ == '__main__':\n"
        "    raise SystemExit(0 if EncoderProcess(open_odd).ask(pid_of) else 1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        f"exec {sys.executable} -c {shlex.quote(script)} <&- >&- 2>&-", shell=True, env=environment, timeout=60
    )
    assert done.returncode == 0


@pytest.mark.parametrize("how", ["killed", "forgotten"])
def test_it_ends_with_whoever_opened_it(how: str) -> None:
    script = (
        "import sys\n"
        "from isoglot.encoders.encoder_process import EncoderProcess\n"
        "from support.apart import open_odd, pid_of\n"
        "if __name__ == '__main__':\n"
        "    apart = EncoderProcess(open_odd)\n"
        "    print(apart.ask(pid_of), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        if how == "killed":
            process.kill()
        else:
            assert process.stdin is not None
            process.stdin.close()
        process.wait(20)
        assert _gone(pid)


def test_the_stand_in_is_an_encoder() -> None:
    assert isinstance(Odd(), Encoder)
