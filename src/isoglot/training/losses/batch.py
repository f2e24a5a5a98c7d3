"""What a loss sees of a batch: unit vectors, who answers whom, and what may stand in whose sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor
from torch.nn import functional

from isoglot.core.brief import brief
from isoglot.training.losses.divergences import scores

# The identity of a place in the negatives' columns that holds no text.
ABSENT = -2


class Pivots(NamedTuple):
    """A frozen teacher's unit vectors of pivot versions, and which of them belong to a batch.

    Attributes:
        queries: (M, d) of queries in the pivot language.
        passages: (M, d) of the passages that answer them.
        identities: (M,) passage component of each.
        own_queries: (B,) place of each query's pivot version among `queries`, -1 where it has none.
        own_passages: (B,) the same of each query's passage.
    """

    queries: Tensor
    passages: Tensor
    identities: Tensor
    own_queries: Tensor
    own_passages: Tensor


@dataclass(frozen=True, eq=False)
class PairBatch:
    """One batch of (query, passage) pairs as a loss sees it: float32 unit vectors, so a dot product is a cosine.

    `passages[i]` answers `queries[i]`. With several processes the queries are this process's and the passages those
    of all, its own first; a loss that is a mean over `queries` is then the mean over the whole batch.

    Attributes:
        queries: (B, d).
        passages: (P, d): the B own ones, those of other processes, then all hard negatives.
        identities: (P,) passage component of each: equal numbers are versions of one passage. -1 is a hard negative
            that is no row's passage, -2 a place that holds no text.
        negatives: (B, K, d) the hard negatives of each query; K may be 0.
        all_queries: (Q, d) queries of all processes, the own ones first.
        all_query_identities: (Q,).
        parallel_passages: (B, d) each passage in its query's language; None in a batch without other versions.
        parallel_queries: (B, d) each query in its passage's language; None likewise.
        teacher: (B, 1 + K) teacher's scores of the passage and the negatives, NaN where there is none; or None.
        query_languages: (B,) numbers of the queries' languages in `languages`, -1 where unknown.
        passage_languages: (B,) those of the queries' own passages.
        languages: names behind the numbers.
        temperature: divides the cosine.
        pivots: frozen vectors of pivot versions, for the losses that draw to them; None where none was asked for.
    """

    queries: Tensor
    passages: Tensor
    identities: Tensor
    negatives: Tensor
    all_queries: Tensor
    all_query_identities: Tensor
    parallel_passages: Tensor | None
    parallel_queries: Tensor | None
    teacher: Tensor | None
    query_languages: Tensor
    passage_languages: Tensor
    languages: tuple[str, ...]
    temperature: float
    pivots: Pivots | None = None

    __repr__ = brief

    @cached_property
    def own(self) -> Tensor:
        """(B,) place of each query's passage among `passages`: 0 to B - 1."""
        return torch.arange(len(self.queries), device=self.queries.device)

    @cached_property
    def query_identities(self) -> Tensor:
        """(B,) identity of the passage that answers each query."""
        return self.identities[: len(self.queries)]

    @cached_property
    def allowed(self) -> Tensor:
        """(B, P) whether a passage may stand in a query's sum: its own, or a text that is no version of its own."""
        return _apart(self.query_identities, self.identities, self.own) & (self.identities != ABSENT)[None, :]

    @cached_property
    def allowed_queries(self) -> Tensor:
        """(B, Q) the same for each own passage and the queries of all processes."""
        return _apart(self.query_identities, self.all_query_identities, self.own)

    @cached_property
    def logits(self) -> Tensor:
        """(B, P) cosines of queries and passages over temperature, -inf where not `allowed`."""
        return self.compare(self.queries, self.passages, self.allowed)

    @cached_property
    def per_query(self) -> Tensor:
        """(B,) InfoNCE of each query."""
        return functional.cross_entropy(self.logits, self.own, reduction="none")

    def compare(self, left: Tensor, right: Tensor, allowed: Tensor) -> Tensor:
        """Cosines (n, m) over temperature of (n, d) and (m, d) unit vectors, -inf where not allowed."""
        return scores(left, right, self.temperature).masked_fill(~allowed, -torch.inf)


def pair_batch(
    embeddings: Sequence[Tensor],
    labels: Tensor,
    temperature: float,
    *,
    parallel: Sequence[Tensor] = (),
    teacher: Tensor | None = None,
    languages: Tensor | None = None,
    names: tuple[str, ...] = (),
    gather: bool = False,
    pivots: Pivots | None = None,
) -> PairBatch:
    """Lay the columns of a batch out for a loss.

    Args:
        embeddings: (B, d) each: of queries, of passages, and of each column of hard negatives.
        labels: identities (B,), or (B, 1 + K) with those of the hard negatives.
        temperature: divides the cosine.
        parallel: (B, d) each: passages in the queries' languages, queries in the passages' languages; or nothing.
        teacher: (B, 1 + K), see `PairBatch`.
        languages: (2, B) numbers of the queries' and of the passages' languages.
        names: of the languages.
        gather: take the passages of all processes.
        pivots: see `PairBatch`.

    Raises:
        ValueError: fewer than two columns, or labels missing or of the wrong shape.
    """
    if len(embeddings) < 2:
        raise ValueError("expected embeddings of queries and passages, got one column")
    queries, *columns = (functional.normalize(column.float()) for column in embeddings)
    if labels is None or labels.shape[0] != len(queries) or (labels.ndim == 2 and labels.shape[1] != len(columns)):
        raise ValueError(f"expected labels ({len(queries)},) or ({len(queries)}, {len(columns)})")
    ids = labels if labels.ndim == 2 else labels[:, None].expand(-1, len(columns)).clone()
    if labels.ndim == 1:
        ids[:, 1:] = -1
    negatives = torch.stack(columns[1:], dim=1) if columns[1:] else queries.new_empty((len(queries), 0, 0))
    all_queries, present = queries, ids
    if gather and torch.distributed.is_initialized():
        # Own rows first, whatever the process: passage i answers query i.
        shift = -torch.distributed.get_rank() * len(queries)
        columns = [all_gather_with_grad(column).roll(shift, 0) for column in columns]
        all_queries = all_gather_with_grad(queries).roll(shift, 0)
        present = all_gather(ids).roll(shift, 0)
    first, second = (functional.normalize(column.float()) for column in parallel) if parallel else (None, None)
    unknown = labels.new_full((2, len(queries)), -1)
    asked, answered = (unknown if languages is None else languages).unbind()
    return PairBatch(
        queries=queries,
        passages=torch.cat(columns),
        identities=torch.cat(list(present.unbind(dim=1))),
        negatives=negatives,
        all_queries=all_queries,
        all_query_identities=present[:, 0],
        parallel_passages=first,
        parallel_queries=second,
        teacher=teacher,
        query_languages=asked,
        passage_languages=answered,
        languages=names,
        temperature=temperature,
        pivots=pivots,
    )


def _apart(left: Tensor, right: Tensor, own: Tensor) -> Tensor:
    """(n, m) whether `right` is another passage than the row's, or the row's own column."""
    same = (left[:, None] == right[None, :]) & (right[None, :] >= 0)
    same[torch.arange(len(left), device=same.device), own] = False
    return ~same
