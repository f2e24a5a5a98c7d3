"""One result of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isoglot.core.short_repr import brief
from isoglot.search.candidates import Candidate


@dataclass(frozen=True, slots=True)
class Hit:
    """One result.

    Attributes:
        id: of the passage.
        text, title, lang, source, metadata: of the passage, as in `Passage`.
        score: what the results are sorted by; comparable within one result list only.
        parts: what the score was computed from: `dense` (cosine), `lexical` (BM25), `balanced` (the cosine or
            re-ranker's score, less its language's level), `hybrid` (dense and lexical fused), `late` (late interaction
            of tokens), `rerank`.
        document: id of the document that the passage is a part of.
        also: with `collapse`, ids of the passages collapsed into this result, as far as the search found them.
    """

    id: str
    text: str
    title: str
    lang: str
    score: float
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    document: str = ""
    also: tuple[str, ...] = ()

    __repr__ = brief


def to_hit(candidate: Candidate) -> Hit:
    """Return the hit that shows a candidate."""
    passage = candidate.passage
    return Hit(
        passage.id,
        passage.text,
        passage.title,
        passage.lang,
        candidate.score,
        passage.source,
        passage.metadata,
        candidate.parts,
        passage.document,
        candidate.also,
    )
