"""An index in OpenSearch: vectors by inner product, our own terms by BM25, languages and metadata as filters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from isoglot.core.errors import InputError
from isoglot.core.files import json_line
from isoglot.encoders.embedder import Vectors
from isoglot.languages.words import query_terms
from isoglot.search.filters.checking import Fields
from isoglot.search.filters.sql import column, fields_of
from isoglot.search.filters.tree import Filter
from isoglot.search.filters.values import Kind, number_of
from isoglot.search.index.about import About
from isoglot.search.index.bm25 import K1
from isoglot.search.index.protocol import SAMPLED, Found, Near, Tally
from isoglot.search.passage import Passage, in_order
from isoglot.search.stores import opensearch_requests as requests
from isoglot.search.stores.opensearch_about import read_about
from isoglot.search.stores.opensearch_filter import Query, all_of, condition_of, has, none_of
from isoglot.search.stores.opensearch_layout import KEY, PASSAGE, TERMS, VECTOR, passage_of, term_of, vector_of
from isoglot.search.stores.opensearch_place import OpenSearchPlace, Server, asking, connect, to_place
from isoglot.search.stores.protocol import Opened, StoreKind, Writer
from isoglot.search.stores.shared import Kept, closed_on_error, point_id, refuse_unfinished

EXACT = 10_000  # passages to compare one by one at most
WINDOW = 10_000  # results per request, and neighbours of a vector: the server's own limits
_LEAST = 100  # neighbours to look for, however few are requested
_CLAUSES = 1024  # terms per query: the server's default limit
_PAGE = 1000
_BY_SCORE: Sequence[requests.Body] = [{"_score": "desc"}, {"id": "asc"}]


class OpenSearchIndex:
    """An index made by `isoglot export`, open for reading.

    Args:
        server: that holds the index.
        place: of the index.
        kept: what the index records about itself.
        exact: number of passages up to which vectors are compared exactly; among more, HNSW is used.
    """

    def __init__(self, server: Server, place: OpenSearchPlace, kept: Kept, *, exact: int = EXACT) -> None:
        self._client, self._place, self._about, self._exact = server.client, place, kept.about, exact
        self._fields = fields_of(kept.columns)
        # From version 3 on, the server omits the constant factor of BM25.
        self._factor = K1 + 1 if server.version >= (3, 0) and server.version < (7, 0) else 1.0
        # Cached for a published version: how many passages a filter leaves in each language, and samples, which are
        # megabytes that every `balanced` search needs.
        self._spoken = lru_cache(maxsize=1000)(self._languages_of)
        self._sampled = lru_cache(maxsize=None)(self._sample_of)

    @property
    def dimension(self) -> int:
        """Number of dimensions of the vectors."""
        return self._about.dimension

    def languages(self) -> dict[str, int]:
        """Return the number of passages in each language, codes in alphabetical order."""
        return dict(sorted(self._languages_of(json_line(condition_of(None, None, self._fields))).items()))

    def fields(self) -> Fields:
        """Return the fields that filters may name."""
        return self._fields

    def nearest(
        self, vector: Vectors, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages of highest cosine, best first, ties by id.

        Few passages are compared exactly; many are searched through the server's HNSW index.
        """
        if langs is not None and not langs:
            return []
        return _near(self._ranked(self._query(vector, k, langs, where), k))

    def nearest_vectors(self, vector: Vectors, k: int, where: Filter | None = None) -> Near:
        """Return the vectors of the k passages of highest cosine, found as by `nearest`."""
        body = _body(self._query(vector, k, None, where)) | {"_source": [VECTOR]}
        hits = self._hits(body, WINDOW, sort=_BY_SCORE, most=k)
        rows = np.asarray([vector_of(hit["_source"]) for hit in hits], np.float32).reshape(len(hits), self.dimension)
        return Near(rows, np.asarray([cosine_of(float(hit["_score"])) for hit in hits], np.float32))

    def nearest_in_each(
        self, vector: Vectors, k: int, langs: Sequence[str], where: Filter | None = None
    ) -> list[list[Found]]:
        """Return what `nearest` finds in each language, with one request."""
        if not langs or k > WINDOW:
            return [self.nearest(vector, k, [lang], where) for lang in langs]
        bodies = [_body(self._query(vector, k, [lang], where)) | {"sort": _BY_SCORE, "size": k} for lang in langs]
        with asking(self._place):
            answers = requests.together(self._client, self._place.index, bodies)
        return [_near(map(_scored, answer["hits"]["hits"])) for answer in answers]

    def matching(
        self, query: str, k: int, langs: Sequence[str] | None = None, where: Filter | None = None
    ) -> list[Found]:
        """Return the k passages that match a query's words best (BM25), best first.

        A query with more terms than the server accepts is looked for without the beginnings of its words.

        Raises:
            InputError: without beginnings it has too many as well.
        """
        terms = query_terms(query, signs=self._about.signs)
        if len(terms) > _CLAUSES:
            terms = query_terms(query, beginnings=False, signs=self._about.signs)
        if not terms or (langs is not None and not langs):
            return []
        if len(terms) > _CLAUSES:
            raise InputError(
                f"{self._place.shown}: the query has {len(terms)} different words and signs, and OpenSearch looks for "
                f"up to {_CLAUSES} at a time; shorten it, or search by meaning alone"
            )
        words: Query = {"match": {TERMS: {"query": " ".join(terms)}}}
        condition = condition_of(langs, where, self._fields)
        asked = words if "match_all" in condition else {"bool": {"must": [words], "filter": [condition]}}
        return [Found(passage, score * self._factor) for passage, score in self._ranked(asked, k, words=True)]

    def tally(self, field: str, langs: Sequence[str] | None = None, where: Filter | None = None) -> Tally:
        """Count the values of a field, on the server."""
        counts: Counter[str | float | bool] = Counter()
        if langs is not None and not langs:
            return Tally(counts, 0, 0)
        condition = condition_of(langs, where, self._fields)
        kinds: list[Kind] = [kind for kind in ("text", "number", "boolean") if kind in self._fields[field]]
        # A text that also parses as a number counts as text; a list counts if there is no single value.
        for place, kind in enumerate(kinds):
            counts.update(self._values(field, kind, _without(condition, field, kinds[:place])))
        single = _without(condition, field, kinds)
        counts.update(self._listed(field, single))
        kinds += [kind for kind in ("texts", "numbers") if kind in self._fields[field]]
        return Tally(counts, self._count(condition), self._count(_without(condition, field, kinds)))

    def sample(self, lang: str) -> Vectors:
        """Return up to 256 vectors of a language's passages: those with the lowest keys, which are hashes."""
        return self._sampled(lang)

    def document(self, document: str) -> list[Passage]:
        """Return all passages of a document, in order; empty if there is no such document."""
        body = {"query": {"term": {"document": {"value": term_of(document)}}}, "_source": [PASSAGE]}
        return in_order(passage_of(hit["_source"]) for hit in self._hits(body, _PAGE))

    def passage(self, id: str) -> tuple[Passage, Vectors] | None:
        """Return a passage and its vector (d,); None if there is no such passage."""
        body = {"query": {"ids": {"values": [point_id(id)]}}, "_source": [PASSAGE, VECTOR]}
        found = self._hits(body, 1, most=1)
        return (passage_of(found[0]["_source"]), vector_of(found[0]["_source"])) if found else None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _query(self, vector: Vectors, k: int, langs: Sequence[str] | None, where: Filter | None) -> Query:
        """Return the query for the nearest passages: exact if few passages match the filter, else HNSW."""
        condition = condition_of(langs, where, self._fields)
        spoken = self._spoken(json_line(condition_of(None, where, self._fields)))
        among = sum(count for lang, count in spoken.items() if langs is None or lang in langs)
        # An inner product is a cosine only if both vectors have length 1.
        values = (np.asarray(vector, np.float32) / (float(np.linalg.norm(vector)) or 1.0)).tolist()
        if k > WINDOW or among <= self._exact:
            params = {"field": VECTOR, "query_value": values, "space_type": "innerproduct"}
            script = {"lang": "knn", "source": "knn_score", "params": params}
            return {"script_score": {"query": condition, "script": script}}
        asked: Query = {"vector": values, "k": max(k, _LEAST)}
        return {"knn": {VECTOR: asked if "match_all" in condition else {**asked, "filter": condition}}}

    def _ranked(self, query: Query, k: int, *, words: bool = False) -> Iterator[tuple[Passage, float]]:
        return map(_scored, self._hits(_body(query), WINDOW, sort=_BY_SCORE, most=k, words=words))

    def _values(self, field: str, kind: Kind, among: Query) -> dict[str | float | bool, int]:
        """Return each value of a type, with the number of passages that have it."""
        name = column(field, kind)
        if kind == "boolean":
            counts = {
                value: self._count(all_of([among, {"term": {name: {"value": value}}}])) for value in (False, True)
            }
            return {value: count for value, count in counts.items() if count}
        with asking(self._place):
            return dict(requests.values(self._client, self._place.index, among, name))

    def _listed(self, field: str, among: Query) -> dict[str | float | bool, int]:
        """Count the values of lists; a number that a list also holds as text counts as that text."""
        kinds = self._fields[field]
        texts = self._values(field, "texts", among) if "texts" in kinds else {}
        numbers = self._values(field, "numbers", among) if "numbers" in kinds else {}
        written: dict[float, list[str]] = {}
        for text in map(str, texts):
            if (number := number_of(text)) is not None and number in numbers:
                written.setdefault(number, []).append(text)
        for number, ways in written.items():
            numbers[number] -= self._count(all_of([among, {"terms": {column(field, "texts"): ways}}]))
        return texts | {number: count for number, count in numbers.items() if count}

    def _hits(self, body: requests.Body, page: int, **how: Any) -> list[dict[str, Any]]:
        with asking(self._place):
            return list(requests.hits(self._client, self._place.index, body, page, **how))

    def _count(self, among: Query) -> int:
        with asking(self._place):
            return requests.count(self._client, self._place.index, among)

    def _languages_of(self, among: str) -> dict[str, int]:
        return {str(lang): count for lang, count in self._values("lang", "text", json.loads(among)).items()}

    def _sample_of(self, lang: str) -> Vectors:
        body = {"query": condition_of([lang], None, self._fields), "_source": [VECTOR]}
        rows = [vector_of(hit["_source"]) for hit in self._hits(body, SAMPLED, sort=[{KEY: "asc"}], most=SAMPLED)]
        return np.asarray(rows, np.float32).reshape(len(rows), self.dimension)


def cosine_of(score: float) -> float:
    """Return the inner product behind a score of OpenSearch, whose scores are never negative.

    Source: OpenSearch documentation, *k-NN vector, Spaces*: d + 1 for a product d above 0, else 1 / (1 - d).

    >>> cosine_of(1.5), cosine_of(0.5)
    (0.5, -1.0)
    """
    return score - 1 if score >= 1 else 1 - 1 / score


def open_opensearch(rest: str) -> Opened:
    """Open an index for reading.

    Raises:
        InputError: no such place or index, no answer, or an unfinished export.
        IsoglotError: the server fails.
        MissingPackageError: opensearch-py is not installed.
    """
    place = to_place(rest)
    return _opened(connect(place), place)


def _opened(server: Server, place: OpenSearchPlace) -> Opened:
    with closed_on_error(server.client):
        kept, _ = read_about(server.client, place)
        refuse_unfinished(kept.finished, place.shown)
    index = OpenSearchIndex(server, place, kept)
    return Opened(index, kept.about, kept.about.version, partial(_renewed, server, place, kept))


def _renewed(server: Server, place: OpenSearchPlace, before: Kept) -> Opened | None:
    now, _ = read_about(server.client, place)
    return _opened(connect(place), place) if now.is_newer_than(before) else None


def write_opensearch(rest: str, about: About, overwrite: bool) -> Writer:
    """Open an index for writing, and create it if it does not exist.

    Raises:
        InputError: it holds another encoder's vectors, was not made by `isoglot export`, or the server has no k-NN.
        IsoglotError: the server fails.
        MissingPackageError: opensearch-py is not installed.
    """
    place = to_place(rest)
    server = connect(place)
    from isoglot.search.stores.opensearch_writer import OpenSearchWriter

    with closed_on_error(server.client):
        return OpenSearchWriter(server.client, place, about, overwrite=overwrite)


OPENSEARCH = StoreKind(open_opensearch, write_opensearch)


def _body(query: Query) -> dict[str, Any]:
    return {"query": query, "_source": [PASSAGE], "track_total_hits": False}


def _scored(hit: Mapping[str, Any]) -> tuple[Passage, float]:
    return passage_of(hit["_source"]), float(hit["_score"])


def _near(ranked: Iterable[tuple[Passage, float]]) -> list[Found]:
    return [Found(passage, cosine_of(score)) for passage, score in ranked]


def _without(among: Query, field: str, kinds: Sequence[Kind]) -> Query:
    """Restrict a query to passages without a value of these types in a field."""
    return all_of([among, none_of([has(field, kind) for kind in kinds])]) if kinds else among
