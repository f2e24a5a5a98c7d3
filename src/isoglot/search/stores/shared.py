"""What databases store of an index besides its passages, and the checks and messages that they share."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from isoglot.core.errors import InputError
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import column
from isoglot.search.filters.values import values_in
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import refuse_other
from isoglot.search.index.protocol import Tally

PAYLOAD = ("id", "document", "text", "lang", "title", "source", "metadata")


class Kept(NamedTuple):
    """What a database records about an index.

    Attributes:
        about: the encoder.
        finished: whether the first export was finished.
        columns: names of the columns with metadata for filters, as `column` returns them.
    """

    about: About
    finished: bool
    columns: tuple[str, ...]

    def is_newer_than(self, before: Kept) -> bool:
        """Return whether a reader must reopen the index to see its current state."""
        return self.finished and not (self.about.is_like(before.about) and self.columns == before.columns)


def refuse_unfinished(finished: bool, shown: str) -> None:
    """Check that the first export to a place was finished.

    Raises:
        InputError: it was not.
    """
    if not finished:
        raise InputError(f"{shown}: its export was not finished; run the same `isoglot export` command again")


@contextmanager
def closed_on_error(connection: Any) -> Iterator[None]:
    """Close a connection if the block fails."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def point_id(passage: str) -> str:
    """Return a passage's id in the form that databases accept: a UUID that is a hash of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, passage))


def refuse_other_vectors(ours: About, theirs: About, shown: str, what: str) -> None:
    """Check that vectors to add match those in a store: the same encoder, and the same correction.

    Args:
        ours: what is to be added.
        theirs: what the store holds.
        shown: the place, for messages.
        what: the database's word for it, such as "collection".

    Raises:
        InputError: the encoders or the corrections differ.
    """
    remedy = f"name another {what}, or replace this one with `overwrite`"
    try:
        refuse_other(np.asarray(ours.probe, np.float32), theirs.probe, ours.model, theirs.model)
    except InputError as error:
        raise InputError(
            f"{shown}: the {what} holds vectors of {theirs.model}, and those of {ours.model} differ; {remedy}"
        ) from error
    if ours.dimension != theirs.dimension or not ours.corrects_like(theirs):
        named = [one.debias.method if one.debias else "none" for one in (theirs, ours)]
        raise InputError(
            f"{shown}: the {what} holds vectors of another correction of language bias ({named[0]}, and this index "
            f"has {named[1]}); {remedy}"
        )


def tally_of(rows: Iterable[Mapping[str, Any]], field: str, fields: Fields) -> Tally:
    """Count the values of a field, in one pass over the stored columns of passages.

    Args:
        rows: the columns of each passage, by the names that `column` returns; a missing column or None is no value.
        field: one of the fields.
        fields: of the index.
    """
    kinds = {kind: column(field, kind) for kind in fields[field]}
    counts: Counter[str | float | bool] = Counter()
    passages = without = 0
    for row in rows:
        values = values_in({kind: value for kind, key in kinds.items() if (value := row.get(key)) is not None})
        counts.update(values)
        passages, without = passages + 1, without + (not values)
    return Tally(counts, passages, without)


def no_collection(shown: str, collection: str) -> InputError:
    """Return the error for a collection that does not exist."""
    return InputError(f"{shown}: no collection {collection!r} there; make it with `isoglot export INDEX {shown}`")


def not_ours(shown: str, collection: str) -> InputError:
    """Return the error for a collection that `isoglot export` did not make."""
    return InputError(f"{shown}: the collection {collection!r} was not made by `isoglot export`; name another one")
