"""A search as requested, and its complete answer from one version of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from isoglot.encoders.embedder import Vectors
from isoglot.encoders.judges import Judge
from isoglot.search.collapsing import Collapse
from isoglot.search.hit import Hit
from isoglot.search.lookup import Facet, Neighbours
from isoglot.search.query_checks import Fair, Mode
from isoglot.search.request import SimilarSettings
from isoglot.search.searcher import Searcher
from isoglot.search.snippets import Snippet, snippet
from isoglot.serve.cleaning import plain

MOST_FACETS = 8
"""Most fields whose values one request may have counted."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A search, as requested.

    Attributes:
        query: the query, without control characters; an empty one finds nothing.
        like: id of a passage, to find similar ones instead of searching for a query.
        langs: languages to search; all if empty.
        facets: fields whose values are counted.
        neighbours: number of passages to return on each side of a hit.
        snippet: length in characters of each hit's snippet, the part with most of the query's words; None for none.
        rerank: name of the re-ranker of the top results; `late` for the index's own model, None for no re-ranking.
        judge: the re-ranker of that name, unless it is `late`.
        k, mode, fair, where, offset, collapse, feedback: as in `Searcher.search`.
    """

    query: str = ""
    like: str | None = None
    k: int = 10
    langs: Sequence[str] = ()
    mode: Mode = "dense"
    fair: Fair = "none"
    where: str | None = None
    offset: int = 0
    collapse: Sequence[Collapse] = ()
    facets: Sequence[str] = ()
    neighbours: int = 0
    snippet: int | None = None
    feedback: bool = False
    rerank: str | None = None
    judge: Judge | None = None


class Answer(NamedTuple):
    """What a search found: hits, their neighbours and snippets by hit id, and facet counts by field."""

    hits: list[Hit]
    around: Mapping[str, Neighbours]
    facets: Mapping[str, Facet]
    parts: Mapping[str, Snippet]


def answer(ask: Ask, searcher: Searcher, languages: Mapping[str, int], vector: Vectors | None = None) -> Answer:
    """Search, ignoring languages that the index lacks.

    Args:
        ask: the search.
        searcher: the index.
        languages: number of passages per language of the index.
        vector: the query's vector, if already encoded.

    Raises:
        FilterError: the filter or a field is invalid.
        NoPassageError: the passage `like` does not exist.
        IsoglotError: the index or the model does not answer.
    """
    here = [code for code in ask.langs if code in languages]
    counts = bool(ask.facets) or ask.where is not None  # which also checks the filter, if nothing is searched for
    facets = searcher.facets(ask.facets, langs=here or None, where=ask.where) if counts else {}
    if not languages or (ask.langs and not here):
        return Answer([], {}, dict.fromkeys(facets, Facet({}, 0, 0, 0)), {})
    among: SimilarSettings = {
        "k": ask.k,
        "langs": here or None,
        "fair": ask.fair,
        "where": ask.where,
        "offset": ask.offset,
        "collapse": ask.collapse,
    }
    hits: list[Hit] = []
    if ask.like is not None:
        hits = searcher.more_like(ask.like, **among)
    elif ask.query:
        rerank = ask.rerank if ask.judge is None else ask.judge
        hits = searcher.search(ask.query, vector=vector, mode=ask.mode, feedback=ask.feedback, rerank=rerank, **among)
    around = searcher.neighbours_of(hits, ask.neighbours) if ask.neighbours else {}
    parts = {} if ask.snippet is None else {hit.id: snippet(plain(hit.text), ask.query, ask.snippet) for hit in hits}
    return Answer(hits, around, facets, parts)
