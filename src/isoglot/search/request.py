"""A search request: the settings of a query, and how passages are retrieved, ranked and paged by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Vectors, readable
from isoglot.languages.table import given_codes
from isoglot.search.candidates import Candidate, fuse, levelled, matching, nearest, terms_of_text
from isoglot.search.collapsing import Collapse, check_collapse
from isoglot.search.filters.checking import Fields, checked_filter
from isoglot.search.filters.tree import Filter
from isoglot.search.fusion import AMONG
from isoglot.search.index.protocol import Index
from isoglot.search.paging import Look, Looked, paged
from isoglot.search.query_checks import Fair, Mode, check_feedback, check_langs, check_offset, check_query

Expand = Callable[[str], str]
QUOTA = 0.5
RERANKED = AMONG
"""How many results fusion and re-ranking look at."""


class SimilarSettings(TypedDict, total=False):
    """Keyword arguments of `Searcher.more_like`; `Searcher.search` describes each."""

    k: int
    langs: Sequence[str] | None
    where: str | Filter | None
    offset: int
    collapse: Sequence[Collapse]
    fair: Fair
    quota: float


class SearchSettings(SimilarSettings, total=False):
    """Keyword arguments of `Searcher.search` and `Searcher.search_many`."""

    mode: Mode
    query_lang: str | None
    rerank: str | Any | None
    expand: Expand | None
    feedback: bool


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """The settings of a search, with their defaults."""

    k: int = 10
    langs: Sequence[str] | None = None
    where: str | Filter | None = None
    offset: int = 0
    collapse: Sequence[Collapse] = ()
    mode: Mode = "dense"
    fair: Fair = "none"
    quota: float = QUOTA
    query_lang: str | None = None
    rerank: str | Any | None = None
    expand: Expand | None = None
    feedback: bool = False

    def checked(self, queries: Sequence[str], there: Collection[str], fields: Callable[[], Fields]) -> SearchRequest:
        """Return the request with its filter parsed, and its languages spelt as in the index.

        Args:
            queries: the queries to be searched for.
            there: languages of the index.
            fields: returns the fields of the index; called only if there is a filter.

        Raises:
            InputError: an invalid query or setting.
        """
        check_kind("queries", queries, (list, tuple), "a list of texts")
        if self.rerank is not None and not isinstance(self.rerank, (str, Path)) and not hasattr(self.rerank, "predict"):
            raise InputError(
                f"rerank: given as {type(self.rerank).__name__}; expected a model: a folder, a Hub id, or an object "
                "with `predict`"
            )
        if self.expand is not None and not callable(self.expand):
            raise InputError(
                f"expand: given as {type(self.expand).__name__}; expected a function from query to query, such as an "
                "Expander of isoglot.search.expansion"
            )
        codes = given_codes(self.langs)
        wanted = None if codes is None else list(codes)
        for query in queries:
            check_query(query, self.k, self.mode, self.fair, self.quota)
        check_feedback(self.feedback, self.mode)
        check_offset(self.offset, self.k, None if self.rerank is None else self.depth)
        check_collapse(self.collapse)
        check_langs(wanted, there)
        return replace(self, langs=wanted, where=None if self.where is None else checked_filter(self.where, fields()))

    def expanded(self, query: str) -> str:
        """Return the query as rewritten by `expand`, or unchanged without it.

        Raises:
            InputError: `expand` returned no text.
        """
        text = query if self.expand is None else self.expand(query)
        check_kind(f"expand: its result for {query[:60]!r}", text, str, "a text")
        return text

    @property
    def tree(self) -> Filter | None:
        """The parsed filter, in a request returned by `checked`."""
        return None if isinstance(self.where, str) else self.where

    @property
    def depth(self) -> int:
        """How many passages are retrieved, from which the k best are chosen."""
        return max(self.k, RERANKED) if self.rerank is not None or self.mode == "hybrid" else self.k

    @property
    def share(self) -> float:
        """The share of results that is divided evenly between languages."""
        return self.quota if self.fair == "balanced" else 0.0

    def look(self, index: Index, text: str, vector: Vectors | None, languages: Collection[str]) -> Look:
        """Return a function from a depth to the index's candidates for one query: dense, lexical, or both fused.

        Args:
            index: the index to search.
            text: the query, as it is matched by words.
            vector: its unit vector (d,); None in `lexical` mode.
            languages: of the index.
        """
        where, apart = self.tree, None
        if self.fair == "balanced":
            apart = list(languages if self.langs is None else self.langs)

        known: dict[tuple[str, str], AbstractSet[str]] = {}

        def terms(one: Candidate) -> AbstractSet[str]:  # cached: a deeper look finds most candidates again
            if one.key not in known:
                known[one.key] = terms_of_text(f"{one.passage.title} {one.passage.text}")
            return known[one.key]

        def look(depth: int) -> Looked:
            lists, words = [], readable(text)
            if vector is not None and self.mode != "lexical":
                lists.append(nearest(index, vector, depth, self.langs, apart=apart, where=where))
            if self.mode != "dense":
                lists.append(matching(index, words, depth, self.langs, apart=apart, where=where))
            held = [
                Counter(None if apart is None else candidate.passage.lang for candidate in entries) for entries in lists
            ]
            more = {code for counts in held for code, count in counts.items() if count >= depth}
            return Looked(fuse(lists[0], lists[1], terms_of_text(words), terms) if len(lists) > 1 else lists[0], more)

        return look

    def page(self, look: Look, rerank: Callable[[list[Candidate]], list[Candidate]]) -> list[Candidate]:
        """Return the candidates of the requested page.

        Args:
            look: retrieves candidates from the index, as returned by `look`.
            rerank: re-ranks candidates; called only if `rerank` is set.
        """
        if self.rerank is None:
            return paged(look, self.k, self.offset, depth=self.depth, share=self.share, collapse=self.collapse)
        some = paged(look, self.depth, 0, depth=self.depth, share=self.share, collapse=self.collapse)
        scored = rerank(some)
        ranked = Looked(levelled(scored) if self.fair == "balanced" else scored, ())
        return paged(lambda depth: ranked, self.k, self.offset, depth=self.depth, share=self.share)
