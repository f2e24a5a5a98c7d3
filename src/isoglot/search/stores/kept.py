"""What a database keeps of an index beside its passages, and what every such store checks and says alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from isoglot.core.errors import InputError
from isoglot.search.filters.checking import OWN_FIELDS, Fields
from isoglot.search.filters.sql import field_of
from isoglot.search.filters.values import Kind
from isoglot.search.index.about import About
from isoglot.search.index.encoder_check import refuse_other


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
        same = self.about.to_text() == before.about.to_text() and self.columns == before.columns
        return self.finished and not same

    def check_finished(self, shown: str) -> None:
        """Refuse what an export left unfinished.

        Raises:
            InputError: it did.
        """
        if not self.finished:
            raise InputError(f"{shown}: its export was not finished; run the same `isoglot export` command again")


def fields_of(columns: Iterable[str]) -> Fields:
    """The fields that these columns hold, the passages' own ones first."""
    found: dict[str, set[Kind]] = {}
    for field, kind in filter(None, map(field_of, sorted(columns))):
        found.setdefault(field, set()).add(kind)
    return {**OWN_FIELDS, **dict(sorted(found.items()))}


def point_id(passage: str) -> str:
    """A passage's id as databases take one: a UUID that is a hash of it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, passage))


def refuse_other_vectors(ours: About, theirs: About, shown: str, what: str) -> None:
    """Stop before another encoder's vectors come beside those that are there.

    Args:
        ours: what is to be put.
        theirs: what is there.
        shown: the place.
        what: the database calls it, such as "collection".

    Raises:
        InputError: the vectors are not of one encoder.
    """
    try:
        refuse_other(np.asarray(ours.probe, np.float32), theirs.probe, ours.model, theirs.model)
    except InputError as error:
        raise InputError(
            f"{shown}: the {what} holds vectors of {theirs.model}, and those of {ours.model} differ; "
            f"name another {what}, or replace this one with `overwrite`"
        ) from error
