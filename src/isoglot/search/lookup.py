"""What an open index answers without a search: fields and their counts, documents, the passages around a hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import NamedTuple, Self

from isoglot.core.arguments import check_kind, check_whole
from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Vectors
from isoglot.languages.table import given_codes
from isoglot.search.filters.checking import Fields, checked_filter, field_named
from isoglot.search.filters.tree import Filter
from isoglot.search.hit import Hit
from isoglot.search.index.protocol import Index
from isoglot.search.passage import Passage
from isoglot.search.query_checks import check_langs

FACET_VALUES = 100
MOST_NEIGHBOURS = 20
_FACETS_KEPT = 256  # cached, as an open index does not change and every page of results asks for the same counts


class NoPassageError(InputError):
    """There is no passage with this id.

    Args:
        id: the id asked for.
    """

    def __init__(self, id: str) -> None:
        super().__init__(f"there is no passage {id[:100]!r}; use an id from the results of a search")


class Facet(NamedTuple):
    """The values of a field and how often each occurs.

    Attributes:
        counts: number of passages with each value, most frequent first; limited to the most frequent values.
        more: number of values left out of `counts`.
        passages: number of passages counted.
        without: number of those that have no value.
    """

    counts: Mapping[str | float | bool, int]
    more: int
    passages: int
    without: int


class Neighbours(NamedTuple):
    """The passages before and after a passage of a document, in document order."""

    before: list[Passage]
    after: list[Passage]


class Lookup:
    """An open index, for lookups without a query.

    Args:
        index: any index.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._languages: dict[str, int] | None = None
        # Bound to the index, not to self: a reference cycle would delay freeing the index's memory.
        self._counted = lru_cache(maxsize=_FACETS_KEPT)(partial(_count, index))

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language of the index."""
        if self._languages is None:
            self._languages = self._index.languages()
        return dict(self._languages)

    def fields(self) -> Fields:
        """Return the fields that filters may name, and the types of their values."""
        return self._index.fields()

    def facets(
        self,
        names: Sequence[str],
        *,
        langs: Sequence[str] | None = None,
        where: str | Filter | None = None,
        values: int = FACET_VALUES,
    ) -> dict[str, Facet]:
        """Count the values of fields among all passages that a search with these languages and filter considers.

        The counts do not depend on a query, as every passage has some cosine with it. A passage with a list counts once
        for each of its values.

        Args:
            names: fields, such as `lang` and `source`.
            langs: as in `Searcher.search`.
            where: as in `Searcher.search`.
            values: how many values of each field to list at most.

        Raises:
            InputError: an invalid field, language or filter.

        Example:
            >>> searcher.facets(["lang", "year"], where="year >= 2020")["lang"].counts  # doctest: +SKIP
            {'de': 12, 'fr': 7}
        """
        fields = self.fields()
        check_kind("facets", names, (list, tuple), "a sequence of names, such as ['lang']")
        check_whole("values", values, 1)
        among = given_codes(langs)
        check_langs(among, self.languages())
        tree = None if where is None else checked_filter(where, fields)
        found = {
            name: self._counted(field_named(name, fields, "facets"), among, tree, repr(tree), values) for name in names
        }
        return {name: facet._replace(counts=dict(facet.counts)) for name, facet in found.items()}

    def document(self, id: str) -> list[Passage]:
        """Return all passages of a document, in order; empty if there is no such document.

        Args:
            id: id of the document, as in `Hit.document`.
        """
        return self._index.document(id)

    def neighbours(self, id: str, number: int = 1) -> Neighbours:
        """Return the passages before and after a passage in its document.

        Args:
            id: id of the passage, as in `Hit.id`.
            number: how many on each side, at most.

        Raises:
            NoPassageError: there is no such passage.
            InputError: the number is not 0 to 20.
        """
        check_whole("neighbours", number, 0, most=MOST_NEIGHBOURS)
        return _around(self._index.document(self._passage(id)[0].document), id, number)

    def neighbours_of(self, hits: Sequence[Hit], number: int = 1) -> dict[str, Neighbours]:
        """Return the neighbours of each hit, by its id; each document is read once.

        Args:
            hits: results of a search.
            number: as in `neighbours`.

        Raises:
            InputError: the number is not 0 to 20.
        """
        check_whole("neighbours", number, 0, most=MOST_NEIGHBOURS)
        read: dict[str, list[Passage]] = {}
        for hit in hits:
            if hit.document not in read:
                read[hit.document] = self._index.document(hit.document)
        return {hit.id: _around(read[hit.document], hit.id, number) for hit in hits}

    def _passage(self, id: str) -> tuple[Passage, Vectors]:
        found = self._index.passage(id)
        if found is None:
            raise NoPassageError(id)
        return found

    def close(self) -> None:
        """Close the index; a `with` block does so at its end."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _around(passages: list[Passage], id: str, number: int) -> Neighbours:
    """Return the neighbours of one of a document's passages."""
    place = next(place for place, passage in enumerate(passages) if passage.id == id)
    return Neighbours(passages[max(0, place - number) : place], passages[place + 1 : place + 1 + number])


def _count(
    index: Index, field: str, langs: tuple[str, ...] | None, where: Filter | None, spelled: str, values: int
) -> Facet:
    # `spelled` is part of the cache key, since True == 1 but they are different filters.
    counts, passages, without = index.tally(field, langs, where)
    # Sort equal counts by value, so that the answer does not depend on how the index is stored.
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0])))
    return Facet(dict(ordered[:values]), max(0, len(ordered) - values), passages, without)
