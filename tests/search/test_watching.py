"""An index that is kept at what a folder holds, and a server that follows it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("watchfiles")
pytest.importorskip("lancedb")

from isoglot.cli import run
from isoglot.core.errors import InputError, IsoglotError
from isoglot.search.index import versions
from isoglot.search.index.building import Built
from isoglot.search.index.manifest import read_manifest
from isoglot.search.index.watching import watch_index
from isoglot.search.searcher import Searcher
from support.encoders import wide_encoder
from support.serving import embed

WAIT = 60  # seconds, for machines that are busy


@contextmanager
def watching(docs: Path, index: Path, **how: object) -> Iterator[queue.Queue[Built | Exception]]:
    """What rounds are told, in a thread, until the block ends."""
    told: queue.Queue[Built | Exception] = queue.Queue()
    stop = threading.Event()
    kept: dict[str, object] = {"settled": 0.05, "looked": 0.2, "name": "words", **how}
    thread = threading.Thread(
        target=watch_index, args=([docs], index, embed), kwargs={"told": told.put, "stop": stop, **kept}
    )
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join(WAIT)
        assert not thread.is_alive()


def changed(told: queue.Queue[Built | Exception]) -> Built:
    """The next round that changed something."""
    while True:
        done = told.get(timeout=WAIT)
        assert not isinstance(done, Exception), done
        if done.changed:
            return done


def failed(told: queue.Queue[Built | Exception]) -> Exception:
    while True:
        done = told.get(timeout=WAIT)
        if isinstance(done, Exception):
            return done


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in "abc":
        (docs / f"{name}.md").write_text(f"solar {name}")
    return docs


@pytest.mark.parametrize("polls", ["", "1"])
def test_changes_come_into_the_index(docs: Path, tmp_path: Path, polls: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", polls)
    with watching(docs, tmp_path / "index") as told:
        assert changed(told).added == 3
        (docs / "sub").mkdir()
        (docs / "sub" / "d.txt").write_text("solar d")
        assert changed(told).added == 1
        (docs / "a.md").write_text("solar other")
        assert changed(told).replaced == 1
        (docs / "b.md").unlink()
        assert changed(told).deleted == 1
    assert read_manifest(tmp_path / "index").version.documents == 3


def test_a_round_that_fails_is_told_and_the_next_goes_on(docs: Path, tmp_path: Path) -> None:
    with watching(docs, tmp_path / "index") as told:
        changed(told)
        docs.rename(tmp_path / "away")
        assert "no such file or folder" in str(failed(told))
        docs.mkdir()
        while "no file to index" not in str(failed(told)):
            pass
        docs.rmdir()
        (tmp_path / "away").rename(docs)
        (docs / "d.md").write_text("solar d")
        done = told.get(timeout=WAIT)
        while isinstance(done, Exception) or not done.changed:
            done = told.get(timeout=WAIT)
        assert done.added == 1
        for name in "abc":
            (docs / f"{name}.md").unlink()
        assert "3 of the 4 documents" in str(failed(told))
    assert read_manifest(tmp_path / "index").version.documents == 4


def test_the_first_round_says_what_is_wrong_with_the_command(docs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        watch_index([tmp_path / "none"], tmp_path / "index", embed, told=pytest.fail, name="words")


def test_a_server_follows(docs: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from isoglot.serve.app import create_app
    from isoglot.serve.settings import ServeSettings

    with watching(docs, tmp_path / "index") as told:
        changed(told)
        searcher = Searcher.open(tmp_path / "index", embed)
        app = create_app({"index": searcher}, ServeSettings(refresh=0.02))
        with TestClient(app, base_url="http://127.0.0.1") as client:

            def found() -> set[str]:
                answer = client.get("/search?q=solar&k=10")
                assert answer.status_code == 200
                return {hit["document"] for hit in answer.json()["hits"]}

            assert found() == {"a.md", "b.md", "c.md"}
            (docs / "a.md").unlink()
            (docs / "d.md").write_text("solar d")
            while found() != {"b.md", "c.md", "d.md"}:
                pass  # every request is answered meanwhile; the test's own time limit ends it otherwise


def test_the_command_leaves_when_it_is_interrupted(
    docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes(*_: object, **__: object) -> Iterator[set[str]]:
        (docs / "new.md").write_text("Neuer Text")
        (docs / "a.md").unlink()
        yield {"changed"}
        raise KeyboardInterrupt

    monkeypatch.setattr("watchfiles.watch", changes)
    command = ["index", str(docs), "-o", str(tmp_path / "i"), "--watch", "--model", str(wide_encoder()), "--prune", "1"]
    assert run(command) == 130
    said = capsys.readouterr()
    assert "3 added" in said.out
    assert "1 added, 1 deleted, 2 unchanged" in said.out
    assert "versions removed: 1" in said.out
    assert "watching" in said.err
    assert "Traceback" not in said.err
    assert read_manifest(tmp_path / "i").current == 2
    # The same again finds nothing to do, and says so.
    monkeypatch.setattr("watchfiles.watch", lambda *_, **__: (_ for _ in [1]).throw(KeyboardInterrupt))
    assert run(command) == 130
    assert "3 unchanged" in capsys.readouterr().out


def test_versions_that_cannot_be_removed_yet_end_nothing(
    docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changes(*_: object, **__: object) -> Iterator[set[str]]:
        for number in (1, 2):
            (docs / f"new{number}.md").write_text(f"Neuer Text {number}")
            yield {"changed"}
        raise KeyboardInterrupt

    pruned = iter((versions.prune, refused, versions.prune))
    monkeypatch.setattr("watchfiles.watch", changes)
    monkeypatch.setattr(versions, "prune", lambda *args: next(pruned)(*args))
    command = ["index", str(docs), "-o", str(tmp_path / "i"), "--watch", "--model", str(wide_encoder()), "--prune", "1"]
    assert run(command) == 130
    said = capsys.readouterr()
    assert "somebody is writing\nold versions stay until the next change" in said.err
    assert said.out.count("versions removed") == 2
    assert [version.number for version in read_manifest(tmp_path / "i").versions] == [3]
    # Of the first round it is an error of the command.
    monkeypatch.setattr(versions, "prune", refused)
    assert run(command) == 2


def refused(*_: object) -> None:
    raise InputError("somebody is writing")


def test_what_watches_is_named_where_it_is_missing(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "watchfiles", None)
    with pytest.raises(IsoglotError, match=r"pip install 'isoglot\[search\]'"):
        watch_index([docs], tmp_path / "index", embed, told=pytest.fail, name="words")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--sync", "--delete", "a"], "--sync: makes an index match its files and folders; leave out --delete"),
        (["--sync", "--by-id", "--resume"], "leave out --by-id, --resume"),
        (["--watch", "--overwrite"], "leave out --overwrite"),
        (["--sync", "--benchmark", "xquad-r"], "leave out --benchmark"),
        (["--most-deleted", "0.2"], "give --sync with it"),
        (["--sync", "--most-deleted", "2"], "--most-deleted 2: expected a share from 0 to 1"),
        (["--sync", "--versions"], "--versions and --roll-back take no inputs"),
        (["--watch", "--moved-from", "x"], "--moved-from"),
    ],
)
def test_flags_that_do_not_go_together(
    docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert run(["index", str(docs), "-o", str(tmp_path / "i"), *flags]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "i").exists()


def test_nothing_to_bring_it_to(docs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", "-o", str(tmp_path / "i"), "--sync"]) == 2
    assert "name some" in capsys.readouterr().err
    assert run(["index", str(docs), "-o", str(docs / "i"), "--watch"]) == 2
    assert "among its own documents" in capsys.readouterr().err
