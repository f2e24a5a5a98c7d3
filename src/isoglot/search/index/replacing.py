"""Where an index is built: in its folder, or beside a published one, whose place it takes when it is done."""

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
    """Refuse to make a new index where there is one, finished or not.

    Args:
        folder: of the index.
        overwrite: whether it shall be replaced.
        resume: whether a build that was not finished shall be gone on with.

    Raises:
        InputError: saying what may be given.
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
    """The folder to build an index in, for a block; at its end the index is in its own.

    One that is to replace a published index is built in `.NAME.isoglot-new` beside it, so that searches go on
    meanwhile, and a build that is killed or meets a full disk leaves the published one as it was.

    Raises:
        InputError: another process writes to it, or there can be no folder beside it.
        IsoglotError: it cannot take the other's place.
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
                new.rmdir()  # where nothing was begun
            raise
        _swap(folder, new)


def finish_swap(folder: Path) -> None:
    """Put a new index in its place where the process that built it died just before it did so."""
    whole, new, old = folder.resolve(), beside(folder, "new"), beside(folder, "old")
    died = (new / FILE).is_file() and not (new / BUILDING).exists() and old.is_dir()
    if died and not (whole.is_dir() and any(whole.iterdir())):
        with suppress(OSError):
            whole.rmdir()
        new.replace(whole)
        shutil.rmtree(old, ignore_errors=True)


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
    """Whether a build that shall replace an index was not finished."""
    return (beside(folder, "new") / BUILDING).is_file()
