"""Where an index is built: in its folder, or beside a published one, which it replaces when finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.output_folders import beside, claimed_folder, refuse_to_replace
from isoglot.search.index.manifest import BUILDING, FILE
from isoglot.search.index.store import one_writer


def refuse_what_is_there(folder: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse to make a new index over an existing one, finished or not.

    Args:
        folder: of the index.
        overwrite: whether to replace it.
        resume: whether to continue an unfinished build.

    Raises:
        InputError: the folder holds something that the arguments do not allow for; the message says which ones would.
    """
    if resume and is_begun(folder):
        return
    if (folder / FILE).is_file() and (resume or not overwrite):
        raise InputError(f"{folder}: this index is finished; give `update` to add to it, or `overwrite` to replace it")
    if (folder / BUILDING).is_file() and not (resume or overwrite):
        raise InputError(
            f"{folder}: an index that was not finished; give `resume` to go on, or `overwrite` to replace it"
        )
    if overwrite:
        refuse_to_replace(folder)


@contextmanager
def built_in(folder: Path, *, overwrite: bool, resume: bool) -> Iterator[Path]:
    """Yield the folder to build an index in; when the block ends, the index is in `folder`.

    A replacement of a published index is built in `.NAME.isoglot-new` beside it, so that searches continue meanwhile,
    and a build that is killed or fills the disk leaves the published index unchanged.

    Raises:
        InputError: another process writes to the index, or the folder beside it cannot be made.
        IsoglotError: the new index cannot be moved into place.
    """
    if not (resume and is_begun(folder)) and not (overwrite and (folder / FILE).is_file()):
        if overwrite and not resume and folder.is_dir():
            with one_writer(folder):
                pass
            with claimed_folder(folder, overwrite=True):
                yield folder
        else:
            folder.mkdir(parents=True, exist_ok=True)
            yield folder
        return
    new = beside(folder, "new")
    folder.mkdir(parents=True, exist_ok=True)
    with one_writer(folder):
        try:
            if not resume:
                shutil.rmtree(new, ignore_errors=True)
            new.mkdir(exist_ok=True)
        except OSError as error:
            raise InputError(f"{new}: cannot be made ({error.strerror}); choose another `folder`") from error
        try:
            yield new
        except BaseException:
            with suppress(OSError):
                new.rmdir()  # succeeds only if nothing was begun
            raise
        _swap(folder, new)


def finish_swap(folder: Path) -> None:
    """Move a finished new index into place if the process that built it died before it had done so.

    Raises:
        InputError: another process writes to the index.
        IsoglotError: the new index cannot be moved into place.
    """
    whole, new, old = folder.resolve(), beside(folder, "new"), beside(folder, "old")
    if not _is_finished(new):
        return
    if (whole / FILE).is_file():
        with one_writer(folder):
            if _is_finished(new):  # not moved meanwhile by the process that built it
                _swap(folder, new)
    elif old.is_dir() and not (whole.is_dir() and any(whole.iterdir())):
        with suppress(OSError):
            whole.rmdir()
        new.replace(whole)
        shutil.rmtree(old, ignore_errors=True)


def _is_finished(new: Path) -> bool:
    return (new / FILE).is_file() and not (new / BUILDING).exists()


def _swap(folder: Path, new: Path) -> None:
    whole, old = folder.resolve(), beside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    try:
        whole.replace(old)
        new.replace(whole)
    except OSError as error:
        with suppress(OSError):
            old.replace(whole)
        raise IsoglotError(f"{folder}: cannot be replaced ({error.strerror}); the new index is {new}") from error
    shutil.rmtree(old, ignore_errors=True)


def is_begun(folder: Path) -> bool:
    """Return whether there is an unfinished build of a replacement for the index."""
    return (beside(folder, "new") / BUILDING).is_file()
