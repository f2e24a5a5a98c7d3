"""Messages that nobody can read any more, and work that goes on all the same."""

import os
import sys
from contextlib import contextmanager

import pytest

from isoglot.cli import main
from isoglot.core.progress import progress_line
from isoglot.core.streams import open_streams


@contextmanager
def lost(monkeypatch, kind):
    """A stderr of this process that nothing can be written to."""
    if kind == "full disk":
        place = os.open("/dev/full", os.O_WRONLY)
    else:
        read, place = os.pipe()
        os.close(read)
    stream = os.fdopen(place, "w", 1, encoding="ascii")
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("sys.__stderr__", stream)
    try:
        yield
    finally:
        spare = os.open(os.devnull, os.O_WRONLY)
        os.dup2(spare, place)  # so that what waits can be written, and closing it is no error
        os.close(spare)
        sys.stderr.close()
        monkeypatch.undo()


@pytest.mark.parametrize("kind", ["full disk", "pipe that nobody reads"])
def test_a_message_is_lost_and_no_work(monkeypatch, kind):
    with lost(monkeypatch, kind):
        with pytest.raises(OSError, match=r"No space|Broken pipe"):
            progress_line("training")
        open_streams()
        open_streams()
        for _ in range(3):
            progress_line("training " * 5_000)
        assert sys.stderr.encoding == "ascii"


@pytest.mark.parametrize("kind", ["full disk", "pipe that nobody reads"])
def test_the_exit_code_says_what_the_message_cannot(monkeypatch, tmp_path, kind):
    with lost(monkeypatch, kind), pytest.raises(SystemExit) as left:
        main(["data", "show", str(tmp_path / "none.jsonl")])
    assert left.value.code == 2
