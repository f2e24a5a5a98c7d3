"""The effect of balanced ranking (`fair`) on one query, shown so that readers can judge whether it was worth it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from isoglot.core.errors import MissingPackageError
from isoglot.languages.codes import UNKNOWN
from isoglot.languages.detection import detect, identifier
from isoglot.search.hit import Hit


def warm() -> None:
    """Load the language identifier, so that no request waits for it."""
    with suppress(MissingPackageError):
        identifier()


@dataclass(frozen=True)
class Balance:
    """The results of one query with and without balancing.

    Attributes:
        lang: the query's language as detected; `und` if unknown.
        count: number of balanced results.
        foreign, foreign_without: results in other languages than the query's, with and without balancing.
        languages, languages_without: number of different languages among the results.
        same: True if balancing changed nothing: the same passages in the same order.
    """

    lang: str
    count: int
    foreign: int
    foreign_without: int
    languages: int
    languages_without: int
    same: bool


def balance(query: str, balanced: Sequence[Hit], plain: Sequence[Hit]) -> Balance:
    """Compare a query's balanced results with those of the model's own ranking.

    Args:
        query: the query.
        balanced: balanced hits.
        plain: as many hits without balancing.
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
