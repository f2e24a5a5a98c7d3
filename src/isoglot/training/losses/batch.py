"""A batch as losses see it: unit vectors, which passage answers which query, and which may be negatives of which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from sentence_transformers.util import all_gather, all_gather_with_grad
from torch import Tensor
from torch.nn import functional

from isoglot.core.short_repr import brief
from isoglot.training.losses.divergences import scores

# The identity of an empty slot in the columns of hard negatives.
ABSENT = -2


class Pivots(NamedTuple):
    """A frozen teacher's unit vectors of texts in the pivot language, and which of them belong to a batch.

    Attributes:
        queries: (M, d) vectors of queries in the pivot language.
        passages: (M, d) vectors of the passages that answer them.
        identities: (M,) passage component of each passage.
        own_queries: (B,) index in `queries` of each query's pivot version, -1 if it has none.
        own_passages: (B,) index in `passages` of the pivot version of each query's passage, -1 if it has none.
    """

    queries: Tensor
    passages: Tensor
    identities: Tensor
    own_queries: Tensor
    own_passages: Tensor


@dataclass(frozen=True, eq=False)
class PairBatch:
    """One batch of (query, passage) pairs as a loss sees it: float32 unit vectors, so a dot product is a cosine.

    `passages[i]` answers `queries[i]`. With several processes, the queries are those of this process and the passages
    those of all processes, its own first; averaged over processes, a mean over `queries` is that of the global batch.

    Attributes:
        queries: (B, d) vectors of this process's queries.
        passages: (P, d) vectors: the B passages of this process, those of other processes, then all hard negatives.
        identities: (P,) passage component of each: equal numbers mean versions of the same passage. -1 is a hard
            negative that is not the passage of any row, -2 an empty slot.
        negatives: (B, K, d) vectors of each query's hard negatives; K may be 0.
        all_queries: (Q, d) vectors of the queries of all processes, this process's first.
        all_query_identities: (Q,) passage component of each query's passage.
        parallel_passages: (B, d) each passage in its query's language; None if the batch has no parallel versions.
        parallel_queries: (B, d) each query in its passage's language; None likewise.
        teacher: (B, 1 + K) teacher scores of the passage and the negatives, NaN where missing; None if there are none.
        query_languages: (B,) indices of the queries' languages in `languages`, -1 if unknown.
        passage_languages: (B,) the same for the passages that answer them.
        languages: language codes.
        temperature: cosines are divided by it.
        pivots: frozen vectors of pivot versions, for the alignment losses; None if no loss needs them.
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
        """(B,) index of each query's passage in `passages`: 0 to B - 1."""
        return torch.arange(len(self.queries), device=self.queries.device)

    @cached_property
    def query_identities(self) -> Tensor:
        """(B,) identity (passage component) of the passage that answers each query."""
        return self.identities[: len(self.queries)]

    @cached_property
    def allowed(self) -> Tensor:
        """(B, P) mask of the passages in each query's softmax: all but other versions of its own and empty slots."""
        return _apart(self.query_identities, self.identities, self.own) & (self.identities != ABSENT)[None, :]

    @cached_property
    def allowed_queries(self) -> Tensor:
        """(B, Q) the same mask for this process's passages and the queries of all processes."""
        return _apart(self.query_identities, self.all_query_identities, self.own)

    @cached_property
    def logits(self) -> Tensor:
        """(B, P) cosines of queries and passages divided by temperature, -inf where not `allowed`."""
        return self.compare(self.queries, self.passages, self.allowed)

    @cached_property
    def per_query(self) -> Tensor:
        """(B,) InfoNCE of each query."""
        return functional.cross_entropy(self.logits, self.own, reduction="none")

    def compare(self, left: Tensor, right: Tensor, allowed: Tensor) -> Tensor:
        """Return (n, m) cosines of (n, d) and (m, d) unit vectors divided by temperature, -inf where not allowed."""
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
    """Build the `PairBatch` of a batch's embeddings.

    Args:
        embeddings: (B, d) each: of queries, of passages, and of each column of hard negatives.
        labels: identities (B,), or (B, 1 + K) including those of the hard negatives.
        temperature: cosines are divided by it.
        parallel: (B, d) each: passages in the queries' languages, queries in the passages' languages; or empty.
        teacher: (B, 1 + K), see `PairBatch`.
        languages: (2, B) indices in `names` of the queries' and the passages' languages.
        names: language codes.
        gather: gather queries and passages from all processes.
        pivots: see `PairBatch`.

    Raises:
        ValueError: there are fewer than two columns, or the labels are missing or have the wrong shape.
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
        # Each process's own rows come first, so that passage i answers query i.
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
    """Return an (n, m) mask: True where `right` is not a version of the row's passage, and at the row's own column."""
    same = (left[:, None] == right[None, :]) & (right[None, :] >= 0)
    same[torch.arange(len(left), device=same.device), own] = False
    return ~same
