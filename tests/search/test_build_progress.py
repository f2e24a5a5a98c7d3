import doctest

import pytest

from isoglot.search.index import build_progress
from isoglot.search.index.build_progress import Rate


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(build_progress.time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize(("terminal", "seconds"), [(True, 2), (False, 30)])
def test_a_line_as_often_as_it_is_wanted(clock, monkeypatch, capsys, terminal, seconds):
    monkeypatch.setattr(build_progress.sys.stderr, "isatty", lambda: terminal, raising=False)
    shown = Rate(1000)
    for spent in (0.5, seconds - 0.1, seconds, seconds + 0.1, 2 * seconds - 0.1, 2 * seconds):
        clock[0] = 100 + spent
        shown.show(100, 3, 30)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    # 30 passages and 100 of 1,000 bytes in that time: nine times as long for the rest.
    assert lines[0] == (
        f"3 documents, 30 passages, 10% of the input, {30 / seconds:.0f} passages/s, "
        f"{build_progress.duration(9 * seconds)} left"
    )


def test_what_was_stored_before_does_not_count_for_the_rate(clock, capsys):
    shown = Rate(1000)
    clock[0] = 129.0
    shown.show(500, 0, 0)  # half the input was stored already
    clock[0] = 139.0
    shown.show(600, 5, 20)  # 100 bytes and 20 passages in 10 seconds
    assert capsys.readouterr().err == ("5 documents, 20 passages, 60% of the input, 2 passages/s, 40 s left\n")


def test_nothing_is_promised_before_there_is_a_rate(clock, capsys):
    shown = Rate(10**9)
    clock[0] = 140.0
    shown.show(0, 0, 0)
    clock[0] = 180.0
    shown.show(10_000, 4, 400)
    assert capsys.readouterr().err.splitlines() == [
        "0 documents, 0 passages, 0% of the input",
        "4 documents, 400 passages, 0% of the input, 10 passages/s",
    ]


def test_doctest():
    assert doctest.testmod(build_progress).failed == 0
