"""The arguments of an index build, and their checks against what exists, before a model is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

from isoglot.core.arguments import check_kind, check_number
from isoglot.core.errors import InputError
from isoglot.core.output_folders import refuse_own_input
from isoglot.documents.finding import refuse_nothing
from isoglot.documents.inputs import GivenDocuments, documents_given
from isoglot.encoders.devices import Precision
from isoglot.encoders.options import ModelOptions
from isoglot.search.index.manifest import FILE
from isoglot.search.index.replacing import refuse_what_is_there
from isoglot.search.index.stored_vectors import Numbers
from isoglot.search.index.syncing import check_sync


@dataclass(frozen=True, kw_only=True)
class IndexSettings:
    """Settings of a new index; an existing one keeps its own.

    Attributes:
        debias: file of a correction for passages and queries.
        options: how to open the model if it is given by name, or how it was opened.
        length: tokens per passage, title and prompt included; the model's own when None.
        precision: as for `encode`.
        numbers: number format of the vectors; float32 when None.
        in_context: also encode passages in the context of their documents.
        tokens: also store the vectors of passages' tokens.
    """

    debias: Path | None
    options: ModelOptions
    length: int | None
    precision: Precision
    numbers: Numbers | None
    in_context: bool
    tokens: bool


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What happens to the documents that are already in an index.

    Attributes:
        update: they stay, except those that are replaced.
        by_id: records in files replace documents with the same ids whatever file those came from.
        delete: ids to delete, each taken literally.
        delete_lists: ids to delete as typed; an entry that is no document's id is split at commas.
        moved_from: where the first input was when it was indexed.
        sync: delete those that the files and folders no longer contain.
        most_deleted: the largest share of them that `sync` may delete.
    """

    update: bool
    by_id: bool
    delete: Sequence[str]
    delete_lists: Sequence[str]
    moved_from: Path | None
    sync: bool
    most_deleted: float


def index_settings(
    debias: Path | str | None,
    options: ModelOptions | None,
    *,
    length: int | None,
    precision: Precision,
    numbers: Numbers | None,
    in_context: bool,
    tokens: bool,
) -> IndexSettings:
    """Return the settings of a new index; length and precision default to those of `options`.

    Raises:
        InputError: `debias` or `options` has the wrong type.
    """
    debias = as_path("debias", debias, "the file of a correction, as text or a path")
    if options is not None:
        check_kind("options", options, ModelOptions, "a ModelOptions of isoglot.encoders")
    options = options or ModelOptions()
    return IndexSettings(
        debias=debias,
        options=options,
        length=options.length if length is None else length,
        precision=options.precision if precision == "auto" else precision,
        numbers=numbers,
        in_context=in_context,
        tokens=tokens,
    )


def checked_arguments(
    documents: Any, folder: Path, changes: Changes, *, overwrite: bool, resume: bool
) -> tuple[GivenDocuments, Changes]:
    """Check the arguments before a model is opened, and turn a `sync` of an existing index into an update.

    Raises:
        InputError: an invalid argument, which the message names.
    """
    check_number("most_deleted", changes.most_deleted, "a share from 0 to 1", lambda share: 0 <= share <= 1)
    given = documents_given(documents, by_id=changes.update)
    if changes.sync:
        alone = not (changes.by_id or changes.delete or changes.delete_lists)
        check_sync(given.files, folder, changes.most_deleted, alone=alone)
        changes = replace(changes, update=changes.update or (folder / FILE).is_file())
    if overwrite and (changes.update or changes.sync):
        raise InputError("overwrite: replaces an index, but `update` and `sync` continue one; leave one of them out")
    if not changes.update and not changes.sync:
        refuse_what_is_there(folder, overwrite=overwrite, resume=resume)
    if overwrite:
        refuse_own_input(folder, given.files)
    if given.records is None and (given.files or not changes.update):
        refuse_nothing(given.files, may_be_empty=changes.sync and changes.most_deleted >= 1)
    return given, changes


def ids_given(given: Iterable[str | int]) -> tuple[str, ...]:
    """Return ids to delete as texts: a document whose id was given as a number has a text as its id.

    Raises:
        InputError: one text, or ids that are neither texts nor whole numbers.
    """
    if isinstance(given, str):
        raise InputError("delete: given as one text; expected a list of ids")
    check_kind("delete", given, Iterable, "a list of ids")
    ids = tuple(given)
    for one in ids:
        check_kind("delete: one of them", one, (str, Integral), "an id: a text or a whole number")
    return tuple(map(str, ids))


def as_path(name: str, given: Path | str | None, what: str) -> Path | None:
    """Return an optional argument as a path.

    Raises:
        InputError: it is neither text, path nor None; `what` describes it in the message.
    """
    if given is None:
        return None
    check_kind(name, given, (str, Path), what)
    return Path(given)
