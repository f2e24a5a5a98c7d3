"""What the switch for fairness did to one query, so that a reader can tell whether it was worth it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from isoglot.core.errors import MissingPackageError
from isoglot.languages.codes import UNKNOWN
from isoglot.languages.detection import detect, identifier
from isoglot.search.hit import Hit


def warm() -> None:
    """Load what tells languages apart, so that no reader waits for it."""
    with suppress(MissingPackageError):
        identifier()


@dataclass(frozen=True)
class Balance:
    """Results of one query with and without the switch.

    Attributes:
        lang: the query's language, as far as its text tells; `und` where it does not.
        count: results with the switch.
        foreign, foreign_without: those of them in other languages than the query's, with it and without.
        languages, languages_without: different languages among them.
        same: the switch changed nothing: the same passages in the same order.
    """

    lang: str
    count: int
    foreign: int
    foreign_without: int
    languages: int
    languages_without: int
    same: bool


def balance(query: str, balanced: Sequence[Hit], plain: Sequence[Hit]) -> Balance:
    """Compare a query's balanced results with those that the model ranks first.

    Args:
        query: as searched.
        balanced: hits with the switch.
        plain: as many without it.
    """
    try:
        lang = detect(query)
    except MissingPackageError:
        lang = UNKNOWN
    return Balance(
        lang,
        len(balanced),
        sum(hit.lang != lang for hit in balanced),
        sum(hit.lang != lang for hit in plain),
        len({hit.lang for hit in balanced}),
        len({hit.lang for hit in plain}),
        [hit.id for hit in balanced] == [hit.id for hit in plain],
    )
