"""A search as a request words it, and all of its answer from one version of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from isoglot.encoders.embedder import Vectors
from isoglot.encoders.judging import Judge
from isoglot.search.collapsing import Collapse
from isoglot.search.hit import Hit
from isoglot.search.lookup import Facet, Neighbours
from isoglot.search.query_checks import Fair, Mode
from isoglot.search.request import SimilarSettings
from isoglot.search.searcher import Searcher
from isoglot.search.snippets import Snippet, snippet
from isoglot.serve.cleaning import plain

MOST_FACETS = 8
"""Fields that one request may have counted."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What is looked for.

    Attributes:
        query: without controls; nothing is found where it is empty.
        like: id of a passage; others like it are looked for, instead of a query.
        langs: all where none is named.
        facets: fields whose values are counted.
        neighbours: passages on each side of a hit.
        snippet: characters of the part of each hit that has most of the query's words; None for none.
        rerank: name of what scores the best anew; `late` for the index's own model. None to leave them as they are.
        judge: what has that name, where it is not `late`.
        k, mode, fair, where, offset, collapse, feedback: as `Searcher.search` takes them.
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
    """What was found: hits, passages around them and parts of them by the hits' ids, and counts by field."""

    hits: list[Hit]
    around: Mapping[str, Neighbours]
    facets: Mapping[str, Facet]
    parts: Mapping[str, Snippet]


def answer(ask: Ask, searcher: Searcher, languages: Mapping[str, int], vector: Vectors | None = None) -> Answer:
    """Search; languages that the index lacks are passed over.

    Args:
        ask: what is looked for.
        searcher: the index.
        languages: of it.
        vector: the query's, where it was encoded before.

    Raises:
        FilterError: the filter or a field cannot be.
        NoPassageError: there is no passage to be like.
        IsoglotError: the index or the model does not answer.
    """
    here = [code for code in ask.langs if code in languages]
    facets = searcher.facets(ask.facets, langs=here or None, where=ask.where) if ask.facets or ask.where else {}
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
