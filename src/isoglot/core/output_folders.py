"""Output folders: created, protected if they hold something, replaced, and restored if a run fails early."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from isoglot.core.errors import InputError
from isoglot.core.files import shown, unwritable
from isoglot.core.progress import progress_line

try:
    import fcntl
except ImportError:  # a platform without such locks
    fcntl = None  # type: ignore[assignment]

BEGUN = ".isoglot-begun"  # in a folder while a run is in progress there
_LOCK = ".lock"  # of an index
# Files that mark a folder as made by isoglot, finished or not; no other folder is ever replaced.
_OURS = (
    BEGUN,
    "run.json",
    "isoglot-index.json",
    "building.json",
    "encode.json",
    "metrics.json",
    "comparison.json",
    "study.json",
    "training.jsonl",
    "checkpoints",
    "runs/base/metrics.json",
    "rows.arrow",
)


@contextmanager
def claimed_folder(path: Path, *, overwrite: bool = False, resume: bool = False) -> Iterator[Path]:
    """Create an output folder for the block; if the block fails before it wrote a file, restore the previous state.

    What `overwrite` replaces is kept beside the folder, as `.NAME.isoglot-old`, until the block, or one that resumes
    it, is done; if the block fails after writing something, it stays there, and stderr says so.

    Two processes never write there at once, if the file system has locks, which end with the process that holds them.

    Args:
        path: of the folder; a link to one is followed.
        overwrite: replace its contents, if isoglot made them.
        resume: continue in it as it is, if isoglot made it.

    Raises:
        InputError: not empty without `overwrite` or `resume`, not made by isoglot, not a folder, not writable, or in
            use by another process.
    """
    with ExitStack() as locks:
        yield from _claimed(path, locks, overwrite=overwrite, resume=resume)


def _claimed(path: Path, locks: ExitStack, *, overwrite: bool, resume: bool) -> Iterator[Path]:
    whole, before = path.resolve(), beside(path, "old")
    begun, existed = whole / BEGUN, whole.is_dir()
    with _writing(path):
        marked = begun.exists()
        if marked:  # by a run that did not finish, or is in progress
            locks.enter_context(_locked(begun, path, os.O_RDWR))
        held = existed and holds_anything(whole)
        if held and (resume or not overwrite):
            refuse_foreign(path)
        if held and not resume:
            if not overwrite:
                raise InputError(f"{path}: not empty; give `overwrite` to replace it or another `folder`")
            refuse_to_replace(path)
            if before.exists() and begun.exists():  # a run that replaced it failed: remove what that run left
                shutil.rmtree(whole)
            else:
                shutil.rmtree(before, ignore_errors=True)
                whole.replace(before)
        replaced = held and not whole.is_dir()
        _make(path)
    resumed_whole = held and not replaced and not begun.exists()
    if replaced or not marked:
        locks.enter_context(_locked(begun, path, os.O_RDWR | os.O_CREAT))
    try:
        yield path
    except BaseException:
        if resumed_whole:
            begun.unlink(missing_ok=True)
        elif not any(file.is_file() for file in whole.rglob("*") if file != begun):
            _undo(whole, begun, before if replaced else None, existed=existed)
        if before.exists():
            progress_line(f"{path}: its previous contents are kept as {before}")
        raise
    with suppress(OSError):
        begun.unlink(missing_ok=True)
    shutil.rmtree(before, ignore_errors=True)


@contextmanager
def _locked(mark: Path, path: Path, flags: int) -> Iterator[None]:
    """Hold the lock on a run's mark during the block; without a lock if the file or lock is not available.

    Raises:
        InputError: another process holds it.
    """
    try:
        opened = os.open(mark, flags, 0o666)
    except OSError:  # a finished run may be on a read-only file system
        yield
        return
    try:
        if fcntl is not None:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{path}: another process is writing there; wait for it, or give another `folder`"
                ) from error
            except OSError:  # some network file systems have no locks
                pass
        yield
    finally:
        os.close(opened)


def _make(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; expected a folder, or a new path")
    try:
        path.resolve().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be created ({error.strerror}); choose another `folder`") from error


def _undo(whole: Path, begun: Path, before: Path | None, *, existed: bool) -> None:
    """Restore the previous state: the replaced folder, an empty one, or none."""
    with suppress(OSError):
        if before is not None:
            shutil.rmtree(whole)
            before.replace(whole)
        elif existed:
            begun.unlink(missing_ok=True)
        else:
            shutil.rmtree(whole)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, "choose another `folder`") from error


def holds_anything(path: Path) -> bool:
    """Return whether a folder holds more than the mark of a run or the lock of an index."""
    return any(entry.name not in (BEGUN, _LOCK) for entry in path.iterdir())


def is_unfinished(path: Path) -> bool:
    """Return whether the run that writes a folder was stopped, or is in progress: files may be missing."""
    return (path / BEGUN).is_file() and not (path / "run.json").is_file()


def refuse_foreign(path: Path) -> None:
    """Reject a folder with files none of which shows that isoglot made it.

    Raises:
        InputError: it is such a folder.
    """
    if path.is_dir() and holds_anything(path) and not any((path / name).exists() for name in _OURS):
        raise InputError(f"{path}: not empty, and holds nothing that isoglot made; give another `folder`")


def refuse_to_replace(path: Path) -> None:
    """Reject `overwrite` if it would remove the working or home folder, or files that isoglot did not make.

    Raises:
        InputError: it would.
    """
    if Path.cwd().is_relative_to(path.resolve()) or Path.home().is_relative_to(path.resolve()):
        raise InputError(f"{path}: `overwrite` would remove the working or home folder; give another `folder`")
    refuse_foreign(path)


def refuse_own_input(folder: Path, inputs: Iterable[Path]) -> None:
    """Reject replacing a folder that contains an input.

    Raises:
        InputError: naming that input.
    """
    for given in inputs:
        if given.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{shown(given)}: lies in {folder}, which `overwrite` replaces; give another `folder`")


def beside(folder: Path, what: str) -> Path:
    """Return a hidden path next to a folder, for its predecessor or successor; no other program uses such names.

    >>> beside(Path("/runs/hybrid"), "old")
    PosixPath('/runs/.hybrid.isoglot-old')
    """
    whole = folder.resolve()
    return whole.with_name(f".{whole.name}.isoglot-{what}")
