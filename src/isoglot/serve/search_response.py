"""The JSON responses of searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from isoglot.search.collapsing import Collapse
from isoglot.search.hit import Hit
from isoglot.search.lookup import Facet, Neighbours
from isoglot.search.passage import Passage
from isoglot.search.query_checks import Fair, Mode
from isoglot.search.snippets import Snippet
from isoglot.serve.cleaning import as_whole, plain
from isoglot.serve.search_request import Answer, Ask


class Part(BaseModel):
    """A snippet: the part of a passage that has most of the query's words."""

    text: str
    start: int = Field(description="Offset of its first character in the passage.")
    marks: list[tuple[int, int]] = Field(description="Start and end (exclusive) of each match, as offsets in text.")
    before: bool = Field(description="Whether the passage has text before it.")
    after: bool = Field(description="Whether the passage has text after it.")


class Beside(BaseModel):
    """A passage next to a result in its document."""

    id: str
    text: str


class Around(BaseModel):
    """The passages around a result, in the document's order."""

    before: list[Beside]
    after: list[Beside]


class Result(BaseModel):
    """One passage."""

    rank: int = Field(description="Starts at 1; on further pages, at offset + 1.")
    id: str
    document: str
    lang: str = Field(description="Language code; und if unknown.")
    title: str
    text: str
    score: float = Field(description="The results are sorted by it; comparable only within one response.")
    parts: dict[str, float | None] = Field(description="Components of the score.")
    source: str
    metadata: dict[str, Any]
    also: list[str] = Field(description="With collapse: ids of passages that this one stands for, as far as met.")
    snippet: Part | None = Field(description="Only if requested.")
    neighbours: Around | None = Field(description="Only if requested.")


class Count(BaseModel):
    """The number of passages that have a value."""

    value: str | bool | int | float
    count: int


class Counts(BaseModel):
    """The values of a field, most frequent first."""

    values: list[Count]
    more: int = Field(description="Number of further values, not listed.")
    passages: int = Field(description="Number of passages counted.")
    without: int = Field(description="Number of them without a value.")


class Results(BaseModel):
    """A response, with the settings of its search."""

    query: str = Field(description="The query as searched, without control characters.")
    like: str | None = Field(description="Id of the passage whose similar passages were searched for.")
    index: str
    model: str
    mode: Mode
    fair: Fair
    feedback: bool = Field(description="Whether a second search was made with feedback from the first.")
    rerank: str | None = Field(description="Name of the re-ranker.")
    langs: list[str] = Field(description="Languages searched; empty for all.")
    where: str | None = Field(description="The filter.")
    offset: int = Field(description="Number of results skipped.")
    collapse: list[Collapse]
    seconds: float
    hits: list[Result]
    facets: dict[str, Counts] = Field(description="Counts over all passages that match langs and where.")


def results(ask: Ask, found: Answer, index: str, model: str, seconds: float) -> Results:
    """Return the response to a search.

    Args:
        ask: the search.
        found: what it found.
        index: name of the index.
        model: name of its encoder.
        seconds: time that the search took.
    """
    return Results(
        query=ask.query,
        like=plain(ask.like),
        index=index,
        model=model,
        mode=ask.mode,
        fair=ask.fair,
        feedback=ask.feedback,
        rerank=ask.rerank,
        langs=list(ask.langs),
        where=plain(ask.where),
        offset=ask.offset,
        collapse=list(ask.collapse),
        seconds=seconds,
        hits=[
            result(rank, hit, found.parts.get(hit.id), found.around.get(hit.id))
            for rank, hit in enumerate(found.hits, 1 + ask.offset)
        ],
        facets=all_counts(found),
    )


def result(rank: int, hit: Hit, part: Snippet | None = None, around: Neighbours | None = None) -> Result:
    """Return a hit as part of a response.

    Args:
        rank: rank from 1.
        hit: the hit.
        part: its snippet, if requested.
        around: its neighbouring passages, if requested.
    """
    return Result(
        rank=rank,
        id=plain(hit.id),
        document=plain(hit.document),
        lang=plain(hit.lang),
        title=plain(hit.title),
        text=plain(hit.text),
        score=plain(float(hit.score)) or 0.0,
        parts={plain(name): plain(float(value)) for name, value in hit.parts.items()},
        source=plain(hit.source),
        metadata=plain(hit.metadata),
        also=[plain(id) for id in hit.also],
        snippet=None if part is None else Part(**part._asdict()),
        neighbours=None if around is None else Around(before=_beside(around.before), after=_beside(around.after)),
    )


def _beside(passages: Sequence[Passage]) -> list[Beside]:
    return [Beside(id=plain(passage.id), text=plain(passage.text)) for passage in passages]


def all_counts(found: Answer) -> dict[str, Counts]:
    """Return the facet counts of an answer, by field, as part of a response."""
    return {plain(name): _counts(facet) for name, facet in found.facets.items()}


def _counts(facet: Facet) -> Counts:
    values = [Count(value=plain(as_whole(value)), count=count) for value, count in facet.counts.items()]
    return Counts(values=values, more=facet.more, passages=facet.passages, without=facet.without)
