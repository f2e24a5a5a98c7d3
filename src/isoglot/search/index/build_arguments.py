"""What a build of an index is asked for, held against what is there, before a model is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.core.arguments import check_kind, check_number
from isoglot.core.errors import InputError
from isoglot.core.output_folders import refuse_own_input
from isoglot.documents.finding import find_sources
from isoglot.documents.given import GivenDocuments, documents_given
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.manifest import FILE
from isoglot.search.index.replacing import refuse_what_is_there
from isoglot.search.index.syncing import check_sync


class Checked(NamedTuple):
    """Arguments of a build, of the kinds that are worked with."""

    debias: Path | None
    moved_from: Path | None
    given: GivenDocuments
    update: bool


def checked_arguments(
    documents: Any,
    folder: Path,
    *,
    debias: Path | str | None,
    moved_from: Path | str | None,
    options: ModelOptions | None,
    update: bool,
    by_id: bool,
    delete: Sequence[str],
    delete_lists: Sequence[str],
    overwrite: bool,
    resume: bool,
    sync: bool,
    most_deleted: float,
) -> Checked:
    """Refuse what cannot be, before a model is opened; `sync` updates where there is an index.

    Raises:
        InputError: naming the argument.
    """
    for name, path, what in (
        ("debias", debias, "the file of a correction, as text or a path"),
        ("moved_from", moved_from, "where the input was, as text or a path"),
    ):
        if path is not None:
            check_kind(name, path, (str, Path), what)
    if options is not None:
        check_kind("options", options, ModelOptions, "a ModelOptions of isoglot.encoders")
    if isinstance(delete, str) or isinstance(delete_lists, str):
        raise InputError("delete: given as one text; expected a list of ids")
    check_number("most_deleted", most_deleted, "a share from 0 to 1", lambda share: 0 <= share <= 1)
    given = documents_given(documents, by_id=update)
    if sync:
        check_sync(given.files, folder, most_deleted, alone=not (by_id or delete or delete_lists))
        update = update or (folder / FILE).is_file()
    if overwrite and (update or sync):
        raise InputError("overwrite: replaces an index, which `update` and `sync` go on with; leave one of them out")
    if not update and not sync:
        refuse_what_is_there(folder, overwrite=overwrite, resume=resume)
    if overwrite:
        refuse_own_input(folder, given.files)
    if given.records is None and (given.files or not update):
        find_sources(given.files, may_be_empty=sync and most_deleted >= 1)
    return Checked(_path(debias), _path(moved_from), given, update)


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)
