"""Output folders: what is refused, replaced, kept and put back."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from isoglot.core.errors import InputError
from isoglot.core.files import write_text
from isoglot.core.output_folders import claimed_folder, refuse_own_input

BEGUN = ".isoglot-begun"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def claim(path, *, write="new", error=None, **how):
    """A run that writes a file, or none, and may fail."""
    with claimed_folder(path, **how) as folder:
        if write:
            write_text(folder / write, "x")
        if error is not None:
            raise error


def test_a_folder_is_made_and_nobody_elses_is_touched(tmp_path):
    out = tmp_path / "deep" / "out"
    claim(out, write=None)
    claim(out, write="file")
    for how in ({}, {"overwrite": True}, {"resume": True}, {"overwrite": True, "resume": True}):
        with pytest.raises(InputError, match="not empty, and holds nothing that isoglot made; give another"):
            claim(out, **how)
    assert names(out) == ["file"]
    (out / "run.json").write_text("{}")
    with pytest.raises(InputError, match="not empty; give `overwrite`"):
        claim(out)
    claim(out, overwrite=True)
    assert (names(out.parent), names(out)) == (["out"], ["new"])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be created"):
        claim(tmp_path / "file" / "below")


def test_overwrite_never_removes_where_one_stands(tmp_path, monkeypatch):
    work = tmp_path / "home" / "work"
    write_text(work / "run.json", "{}")
    write_text(tmp_path / "home" / ".work.isoglot-old" / "run.json", "{}")
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for path in (Path("."), work, tmp_path / "home", tmp_path):
        with pytest.raises(InputError, match="working or home folder"):
            claim(path, overwrite=True)
    assert names(work) == ["run.json"]


@pytest.mark.parametrize("error", [InputError("bad"), KeyboardInterrupt()])
def test_a_run_that_fails_before_it_wrote_leaves_all_as_it_was(tmp_path, error):
    out = tmp_path / "out"
    with pytest.raises(type(error)):
        claim(out, write=None, error=error)
    assert names(tmp_path) == []
    out.mkdir()
    with pytest.raises(type(error)):
        claim(out, write=None, error=error)
    assert names(out) == []
    write_text(out / "run.json", "x")
    for resume in (False, True):
        with pytest.raises(type(error)):
            claim(out, write=None, error=error, overwrite=True, resume=resume)
        assert (names(tmp_path), names(out)) == (["out"], ["run.json"])

    def only_folders():
        with claimed_folder(out, overwrite=True) as folder:
            (folder / "vectors").mkdir()
            raise error

    with pytest.raises(type(error)):
        only_folders()
    assert (names(tmp_path), names(out)) == (["out"], ["run.json"])


def test_what_a_run_that_got_further_replaced_is_kept_until_one_succeeds(tmp_path, capsys):
    out, old = tmp_path / "out", tmp_path / ".out.isoglot-old"
    write_text(out / "run.json", "x")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            claim(out, error=KeyboardInterrupt(), overwrite=True)
        assert (names(tmp_path), names(out)) == ([old.name, "out"], [BEGUN, "new"])
        assert names(old) == ["run.json"]
        assert f"its previous contents are kept as {old}" in capsys.readouterr().err
    # Somebody's own files in its place are not ours, whatever waits beside them.
    (out / BEGUN).unlink()
    for how in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(InputError, match="holds nothing that isoglot made"):
            claim(out, **how)
    (out / BEGUN).touch()
    claim(out, write="more", resume=True)
    assert (names(tmp_path), names(out)) == (["out"], ["more", "new"])


def test_of_two_the_finished_run_is_kept(tmp_path):
    out, old = tmp_path / "out", tmp_path / ".out.isoglot-old"
    for folder, what in ((old, "older"), (out, "finished")):
        write_text(folder / "run.json", "{}")
        write_text(folder / what, "x")
    with pytest.raises(KeyboardInterrupt):
        claim(out, error=KeyboardInterrupt(), overwrite=True)
    assert names(old) == ["finished", "run.json"]


def test_an_interrupted_run_is_ours_to_replace(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        claim(tmp_path / "out", error=KeyboardInterrupt())
    assert names(tmp_path / "out") == [BEGUN, "new"]
    claim(tmp_path / "out", write="whole", overwrite=True)
    assert (names(tmp_path), names(tmp_path / "out")) == (["out"], ["whole"])


def test_no_two_processes_write_there_at_once(tmp_path):
    out = tmp_path / "out"
    with claimed_folder(out):
        for how in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match="out: another process is writing there; wait for it, or give another"):
                claim(out, **how)
        write_text(out / "run.json", "{}")
        with pytest.raises(InputError, match="another process is writing there"):
            claim(out, overwrite=True)
        assert names(out) == [BEGUN, "run.json"]
    assert names(out) == ["run.json"]
    for how in ({"resume": True}, {"overwrite": True}):
        with claimed_folder(out, **how):
            with pytest.raises(InputError, match="another process is writing there"):
                claim(out, resume=True)
            write_text(out / "run.json", "{}")
    assert (names(tmp_path), names(out)) == (["out"], ["run.json"])


def test_a_run_that_was_killed_is_in_nobodys_way(tmp_path):
    out = tmp_path / "out"

    def dies():
        with claimed_folder(out):
            write_text(out / "run.json", "{}")
            os.kill(os.getpid(), signal.SIGKILL)

    killed = multiprocessing.get_context("fork").Process(target=dies)
    killed.start()
    killed.join()
    assert (killed.exitcode, names(out)) == (-signal.SIGKILL, [BEGUN, "run.json"])
    claim(out, resume=True)
    assert names(out) == ["new", "run.json"]


def test_where_there_are_no_locks_one_goes_on_without(tmp_path, monkeypatch):
    def lacking(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", lacking)
    claim(tmp_path / "out")
    assert names(tmp_path / "out") == ["new"]


def test_links_are_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    write_text(tmp_path / "disk" / "big" / "run.json", "x")
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "big")
    claim(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out").is_symlink()
    assert (names(tmp_path / "disk"), names(tmp_path / "out")) == (["big"], ["new"])


def test_the_lock_of_an_index_is_as_good_as_nothing(tmp_path):
    write_text(tmp_path / "out" / ".lock", "")
    for overwrite in (True, False):
        claim(tmp_path / "out", write=None, overwrite=overwrite)


def test_a_folder_that_cannot_be_replaced(tmp_path, monkeypatch):
    write_text(tmp_path / "out" / "run.json", "{}")

    def refuse(*args):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(InputError, match=r"out: cannot be written \(Permission denied\); choose another `folder`"):
        claim(tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == ["run.json"]


def test_a_folder_is_not_replaced_by_what_is_read_from_it(tmp_path):
    write_text(tmp_path / "out" / "rows.jsonl", "")
    with pytest.raises(InputError, match=r"rows\.jsonl: lies in .*out, which `overwrite` replaces"):
        refuse_own_input(tmp_path / "out", [tmp_path / "else", tmp_path / "out" / "rows.jsonl"])
    refuse_own_input(tmp_path / "out", [tmp_path / "else", tmp_path])
