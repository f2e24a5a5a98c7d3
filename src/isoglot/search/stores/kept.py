"""What a database keeps of an index beside its passages, and what every such store checks and says alike."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
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
    """What a database says of an index.

    Attributes:
        about: the encoder.
        finished: whether the first export was.
        columns: names of what holds metadata for filters, as `column` gives them.
    """

    about: About
    finished: bool
    columns: tuple[str, ...]

    def is_newer_than(self, before: Kept) -> bool:
        """Whether a reader has to be opened again to see what is there."""
        return self.finished and not (self.about.is_like(before.about) and self.columns == before.columns)

    def check_finished(self, shown: str) -> None:
        """Refuse what an export left unfinished.

        Raises:
            InputError: it did.
        """
        if not self.finished:
            raise InputError(f"{shown}: its export was not finished; run the same `isoglot export` command again")


def point_id(passage: str) -> str:
    """A passage's id as databases take one: a UUID that is a hash of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, passage))


def refuse_other_vectors(ours: About, theirs: About, shown: str, what: str) -> None:
    """Stop before vectors of another encoder, or of another correction, come beside those that are there.

    Args:
        ours: what is to be put.
        theirs: what is there.
        shown: the place.
        what: the database calls it, such as "collection".

    Raises:
        InputError: the vectors are not of one encoder, or not corrected alike.
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
    """How often each value of a field is there, from one pass over the stored columns of passages.

    Args:
        rows: of each passage what stands under the names that `column` gives; nothing, or None, is no value.
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
    """The error of a place without its collection."""
    return InputError(f"{shown}: no collection {collection!r} there; make it with `isoglot export INDEX {shown}`")


def not_ours(shown: str, collection: str) -> InputError:
    """The error of a collection that something else made."""
    return InputError(f"{shown}: the collection {collection!r} was not made by `isoglot export`; name another one")
