import errno
import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from isoglot.core.errors import GateMissedError, InputError, IsoglotError, MissingPackageError
from isoglot.core.files import atomic_folder, atomic_write, read_json, sha256, write_json, write_text
from isoglot.core.progress import Progress, progress_line


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_what_is_made_has_the_rights_that_the_umask_leaves(tmp_path, umask):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "file"), atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    rights = [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder")]
    assert rights == ([0o644, 0o755] if umask == 0o022 else [0o600, 0o700])


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_with_its_own_rights_keeps_them(tmp_path, monkeypatch, refusal):
    def chmod(path, mode, **_):
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "chmod", chmod)
    if refusal == errno.EIO:  # not a matter of rights
        with pytest.raises(IsoglotError, match="cannot be written"):
            write_text(tmp_path / "file", "text")
        return
    write_text(tmp_path / "file", "text")
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "in it").write_text("text")
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "in it").read_text() == "text"


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO])
def test_a_file_system_that_cannot_flush_is_written_to_and_a_failing_one_is_not(tmp_path, monkeypatch, refusal):
    def fsync(_):
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "fsync", fsync)
    if refusal == errno.EIO:
        with pytest.raises(IsoglotError, match="cannot be written"):
            write_text(tmp_path / "file", "text", lasting=True)
        assert names(tmp_path) == []
        return
    write_text(tmp_path / "file", "text", lasting=True)
    assert (tmp_path / "file").read_text() == "text"


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert names(path.parent) == ["file.txt"]


def test_a_lasting_file_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []

    def fsync(file):
        synced.append((os.fstat(file).st_ino, (tmp_path / "file").exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_json(tmp_path / "file", {"a": 1}, lasting=True)
    assert synced == [((tmp_path / "file").stat().st_ino, False)]
    assert read_json(tmp_path / "file") == {"a": 1}


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_a_failed_write_keeps_the_old_file(tmp_path, error):
    write_text(tmp_path / "file", "old")

    def fail():
        with atomic_write(tmp_path / "file") as temporary:
            temporary.write_text("new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("writer", [write_text, write_json])
def test_a_full_disk(tmp_path, monkeypatch, writer):
    write_text(tmp_path / "file", "old")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(IsoglotError, match="file: cannot be written \\(No space left on device\\)") as caught:
        writer(tmp_path / "file", "new")
    assert caught.value.exit_code == 1
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_replaces_the_old_one_as_a_whole(tmp_path):
    for content in ("a", "b"):
        with atomic_folder(tmp_path / "out") as temporary:
            (temporary / content).write_text(content)
        assert names(tmp_path / "out") == [content]

    def fail():
        with atomic_folder(tmp_path / "out") as temporary:
            (temporary / "c").write_text("c")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert names(tmp_path / "out") == ["b"]
    assert names(tmp_path) == ["out"]


def test_a_folder_that_need_not_be_replaced_stays(tmp_path):
    with atomic_folder(tmp_path / "out", replaces=False) as late:
        (late / "file").write_text("late")
        with atomic_folder(tmp_path / "out", replaces=False) as early:
            (early / "file").write_text("early")
    assert (tmp_path / "out" / "file").read_text() == "early"
    assert names(tmp_path) == ["out"]
    (tmp_path / "taken").write_text("")
    with (
        pytest.raises(IsoglotError, match="taken: cannot be written"),
        atomic_folder(tmp_path / "taken", replaces=False),
    ):
        pass


def test_what_a_killed_process_left_of_a_folder_is_removed_after_a_day(tmp_path):
    day = 24 * 3600
    for name, age in ((".o**.abcdefgh.tmp", day + 9), (".o**.hgfedcba.tmp", day - 99), (".out.abcdefgh.tmp", day + 9)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with atomic_folder(tmp_path / "o**"):
        pass
    assert names(tmp_path) == [".o**.hgfedcba.tmp", ".out.abcdefgh.tmp", "o**"]


def test_a_folder_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, there = [], tmp_path / "whole"

    def note(file):
        assert not there.exists()
        synced.append(os.fstat(file).st_size)

    monkeypatch.setattr(os, "fsync", note)
    with atomic_folder(there) as folder:
        (folder / "within").mkdir()
        (folder / "a").write_text("1")
        (folder / "within" / "b").write_text("22")
    assert sorted(synced) == [1, 2]
    assert there.is_dir()


def test_dying_between_the_two_renames_keeps_the_old_folder_aside(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "old").write_text("")
    seen, replace = [], Path.replace

    def watched(self, target):
        found = replace(self, target)
        seen.append(sorted(path.name for path in tmp_path.rglob("*") if path.is_file()))
        return found

    monkeypatch.setattr(Path, "replace", watched)
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "new").write_text("")
    assert seen == [["new", "old"], ["new", "old"]]
    assert names(tmp_path) == ["out"]


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(IsoglotError, match="choose another place"),
        atomic_write(tmp_path / "file" / "below"),
    ):
        raise AssertionError("never reached")
    with (
        pytest.raises(IsoglotError, match="choose another place"),
        atomic_folder(tmp_path / "file" / "below"),
    ):
        raise AssertionError("never reached")


def test_json_knows_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {1: [float("nan"), 0.5], "ü": (None, {"x": float("nan")})})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == read_json(tmp_path / "a.json") == {"1": [None, 0.5], "ü": [None, {"x": None}]}
    assert "ü" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[1,\n2", "a.json:2: broken or truncated JSON"),
        (b"", "a.json:1: broken or truncated JSON"),
        (b'["\xff"]', r"a.json: not UTF-8 \(byte 2\)"),
        (b"[" * 100_000, "a.json: not usable JSON"),
        (b"9" * 5000, "a.json: not usable JSON"),
    ],
)
def test_json_that_cannot_be_read(tmp_path, content, words):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_json(tmp_path / "a.json")


def test_json_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "no.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path)


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_errors_know_their_exit_codes():
    codes = {kind: kind("x").exit_code for kind in (IsoglotError, InputError, MissingPackageError, GateMissedError)}
    assert list(codes.values()) == [1, 2, 2, 3]
    assert all(issubclass(kind, IsoglotError) for kind in codes)


def test_progress_is_silent_without_a_terminal(capsys):
    with Progress("rows", 3) as progress:
        progress.advance(3)
    assert capsys.readouterr() == ("", "")
    progress_line("stage")
    assert capsys.readouterr() == ("", "stage\n")


def test_progress_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for total in (500, None):
        with Progress("rows", total) as progress:
            for _ in range(500):
                progress.advance()
            bar = progress._bar
        assert bar.tasks[0].completed == 500
        assert bar.finished or total is None
    with Progress("rows", 500, enabled=False) as progress:
        progress.advance()
        assert progress._bar is None


def test_a_place_that_cannot_be_written_is_the_callers_fault_and_a_full_disk_is_not(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for make in (atomic_write, atomic_folder):
        with pytest.raises(InputError, match="choose another place"), make(tmp_path / "file" / "new"):
            pass

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(IsoglotError, match="No space left") as caught, atomic_write(tmp_path / "new"):
        pass
    assert caught.value.exit_code == 1
