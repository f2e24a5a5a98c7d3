"""Filter rows by round-trip retrieval, and drop questions that repeat another one or quote their passage."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.core.short_repr import brief
from isoglot.curation.candidate_passages import distinct_passages, nearest_others
from isoglot.data.near_duplicates import NEAR, grams
from isoglot.data.prepared import Prepared
from isoglot.encoders.embedder import Model
from isoglot.encoders.encoding import encode
from isoglot.measuring.ranks import BLOCK_BYTES

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_QUOTED_GRAMS = 20  # a question with fewer character 4-grams (about four words) may occur in its passage, as names do

_RERANKED = 100  # candidates per row for a cross-encoder to rerank


class Filtered(NamedTuple):
    """For each row the reason to drop it (None: keep it), and the rank of its own passage (1 is best)."""

    reasons: list[str | None]
    ranks: NDArray[np.int64]

    def __repr__(self) -> str:
        return brief(self)

    @property
    def counts(self) -> Counter[str]:
        """Number of rows to drop, by reason."""
        return Counter(reason for reason in self.reasons if reason)


def filter_rows(model: Model, rows: Prepared, *, top: int = 20, cross_encoder: CrossEncoder | None = None) -> Filtered:
    """Filter by round-trip consistency: keep a row only if its own passage is among the top of all passages.

    Other passages of the row's component, in any language, are not counted in the ranking. Of nearly equal questions in
    one language (Jaccard similarity of 4-grams at least .8) the first is kept. Bitext rows are always kept, as they
    have no questions.

    Args:
        model: ranks the passages of all languages for each query.
        rows: prepared rows.
        top: the worst rank to keep.
        cross_encoder: if given, ranks the row's own passage among the encoder's best 100 others instead.

    Raises:
        InputError: `top` below 1.
    """
    if top < 1:
        raise InputError(f"top {top}: expected at least 1")
    queries, passages = rows.column("query"), rows.passages()
    asked = encode(model, queries, "query", what="queries").vectors
    texts = encode(model, passages, "passage", what="passages").vectors
    ranks = own_ranks(asked, texts, rows) if cross_encoder is None else _judged(cross_encoder, asked, texts, rows)
    bitext = [name in rows.table.cross_only for name in rows.column("dataset")]
    repeated = _repeated(rows, queries, bitext)
    reasons: list[str | None] = []
    for row, query in enumerate(queries):
        if bitext[row]:
            reasons.append(None)
        elif repeated[row]:
            reasons.append("nearly repeats another question")
        elif quotes(query, passages[row]):
            reasons.append("quotes its passage")
        else:
            reasons.append(f"its passage is not among the top {top}" if ranks[row] > top else None)
    return Filtered(reasons, ranks)


def quotes(query: str, passage: str) -> bool:
    """Whether a question quotes its passage: four fifths of its character 4-grams occur there.

    The passage may well occur in the question if it is short, such as a name.

    >>> quotes("Is Rome the capital of Italy?", "Italy")
    False
    """
    asked = grams(query)
    return len(asked) >= _QUOTED_GRAMS and len(asked & grams(passage)) >= NEAR * len(asked)


def _repeated(rows: Prepared, queries: Sequence[str], bitext: Sequence[bool]) -> list[bool]:
    """Whether each row's question nearly repeats another one; the passages of one question are several rows."""
    lang = np.asarray(rows.table.lang)
    keys = np.asarray(rows.table.group, np.int64) * len(rows.table.languages) + lang
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    asks = np.zeros(len(rows), dtype=bool)
    asks[first] = True
    found = repeats(queries, lang.tolist(), [not own or other for own, other in zip(asks, bitext, strict=True)])
    return [found[row] is not None for row in first[inverse].tolist()]


def own_ranks(queries: NDArray[np.float32], passages: NDArray[np.float32], rows: Prepared) -> NDArray[np.int64]:
    """Return the rank (rows,) of each row's passage among the distinct passages of all other components.

    Args:
        queries: unit vectors (rows, d).
        passages: unit vectors (rows, d).
        rows: the prepared rows.
    """
    component = np.asarray(rows.table.component)
    pool = distinct_passages(rows)
    candidates, theirs = passages[pool], component[pool]
    own = np.einsum("ij,ij->i", queries, passages)
    ranks = np.empty(len(rows), np.int64)
    block = max(1, BLOCK_BYTES // (4 * max(1, len(pool))))
    with Progress("ranking", len(rows)) as progress:
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            better = queries[part] @ candidates.T > own[part, None]
            ranks[part] = 1 + (better & (component[part, None] != theirs)).sum(axis=1)
            progress.advance(len(better))
    return ranks


def repeats(queries: Sequence[str], langs: Sequence[int], passed_over: Sequence[bool]) -> list[int | None]:
    """Return for each question the first earlier near duplicate in its language (Jaccard at least .8), or None.

    Two sets that share four fifths of their grams also share one of their rarest fifth, so only questions that do are
    compared.

    Args:
        queries: the questions.
        langs: number of each question's language.
        passed_over: which questions to skip.
    """
    frequency = Counter(gram for query in queries for gram in grams(query))
    places: dict[tuple[int, str], list[int]] = defaultdict(list)
    found: list[int | None] = []
    for number, (query, lang) in enumerate(zip(queries, langs, strict=True)):
        own = grams(query)
        if passed_over[number] or not own:
            found.append(None)
            continue
        rare = sorted(own, key=lambda gram: (frequency[gram], gram))[: len(own) - math.ceil(NEAR * len(own)) + 1]
        others = sorted({other for gram in rare for other in places[lang, gram]})
        found.append(next((other for other in others if _near(own, grams(queries[other]))), None))
        if found[-1] is None:
            for gram in rare:
                places[lang, gram].append(number)
    return found


def _near(first: frozenset[str], second: frozenset[str]) -> bool:
    shared = len(first & second)
    return shared >= NEAR * (len(first) + len(second) - shared)


def _judged(
    judge: CrossEncoder, queries: NDArray[np.float32], passages: NDArray[np.float32], rows: Prepared
) -> NDArray[np.int64]:
    component, texts = np.asarray(rows.table.component), rows.passages()
    found = nearest_others(queries, passages, component, np.arange(len(rows)), distinct_passages(rows), _RERANKED)
    ranks = np.empty(len(rows), np.int64)
    with Progress("judging", len(rows)) as progress:
        for row, (query, (others, _)) in enumerate(zip(rows.column("query"), found, strict=True)):
            pairs = [(query, texts[at]) for at in (row, *others)]
            judged = np.asarray(judge.predict(pairs, show_progress_bar=False))
            ranks[row] = 1 + int((judged[1:] > judged[0]).sum())
            progress.advance()
    return ranks
