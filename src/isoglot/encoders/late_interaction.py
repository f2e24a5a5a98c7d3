"""Late interaction: each token of a query is compared with the passage's token closest to it.

A single vector has to represent the whole text; in ColBERT (Khattab and Zaharia 2020, arXiv 2004.12832) every token
keeps its own, and a passage's score is the mean over the query's tokens of the highest cosine with any passage token.
Here the encoder need not be trained for it: the vectors are those that it pools anyway, and the query's tokens are
weighted by their information (`token_vectors.Vocabulary`). The score mixes this with the cosine of the whole texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isoglot.core.lru_cache import Recent
from isoglot.encoders.embedder import Encoder, Vectors, readable
from isoglot.encoders.quantised_tokens import QuantisedTokens, opened_tokens
from isoglot.encoders.token_vectors import TokenVectors, with_tokens

LATE = "late"
"""Given in place of a re-ranking model: late interaction with the index's own encoder; `late:MODEL` uses another."""
PREFIX = "late:"
SHARE = 0.6
SHARE_DRAWN = 0.3  # when feedback moved the query's vector towards passages, but not its tokens
_TOGETHER = 512  # passages per block
_TOKENS = 2048  # query tokens per block
_KEPT = 200_000  # passage tokens cached; 154 MB at 384 dimensions


def late_scores(queries: TokenVectors, passages: TokenVectors) -> Vectors:
    """Return the weighted mean, over a query's tokens, of each one's highest cosine with a passage's token.

    Passages of similar length are compared together; shorter ones repeat their last token up to the longest's length,
    which changes no maximum. The result has the shape (queries, passages).

    >>> one = TokenVectors(np.eye(2, dtype=np.float32), np.array([0, 2]), np.array([0.75, 0.25], np.float32))
    >>> two = TokenVectors(np.array([[1, 0], [0.6, 0.8]], np.float32), np.array([0, 1, 2]), np.ones(2, np.float32))
    >>> late_scores(one, two).round(2).tolist()
    [[0.75, 0.65]]
    """
    import torch

    found = np.empty((len(queries), len(passages)), np.float32)
    asked = torch.from_numpy(queries.vectors)
    held = torch.from_numpy(passages.vectors)
    lengths = np.diff(passages.offsets)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), _TOGETHER):
        some = order[start : start + _TOGETHER]
        longest = int(lengths[some[-1]])
        places = passages.offsets[some] + np.minimum(np.arange(longest)[:, None], lengths[some] - 1)
        columns = [held[torch.from_numpy(row)].T for row in places]  # the first tokens of all, the second ones, ...
        for first, last in _runs(queries.offsets):
            begin, end = queries.offsets[first], queries.offsets[last]
            tokens = asked[begin:end]
            best = tokens @ columns[0]
            for column in columns[1:]:
                torch.maximum(best, tokens @ column, out=best)
            weighed = best.numpy() * queries.weights[begin:end, None]
            found[first:last, some] = np.add.reduceat(weighed, queries.offsets[first:last] - begin)
    return found


def mixed(cosines: NDArray[np.floating], late: NDArray[np.floating], *, drawn: bool = False) -> NDArray[np.floating]:
    """Return (1 - share) * cosine + share * late, of the same shape.

    Args:
        cosines: of whole texts.
        late: from `late_scores`.
        drawn: the queries' vectors, but not their tokens, were moved towards passages (`isoglot.encoders.feedback`).
    """
    share = SHARE_DRAWN if drawn else SHARE
    return (1 - share) * cosines + share * late


@runtime_checkable
class LateScorer(Protocol):
    """Computes late interaction of queries and passages, here or in another process."""

    def late(self, query: str, passages: Sequence[str]) -> Vectors:
        """Return the late part of passages' scores (n,) for a query."""
        ...

    def late_of(self, query: str, passages: Sequence[QuantisedTokens]) -> Vectors:
        """Return the same for passages whose tokens were stored."""
        ...


def late_scorer(encoder: Encoder) -> LateScorer:
    """Return the encoder itself if it computes late interaction, else a `LateInteraction` of it.

    Raises:
        InputError: the encoder returns vectors of whole texts only.
    """
    return encoder if isinstance(encoder, LateScorer) else LateInteraction(encoder)


class LateInteraction:
    """Late interaction of an encoder, with a cache of recent passages. Threads may share one.

    Args:
        encoder: opened in this process, over tokens.
        kept: number of passage tokens to cache.

    Raises:
        InputError: the encoder returns vectors of whole texts only.
    """

    def __init__(self, encoder: Encoder, *, kept: int = _KEPT) -> None:
        self._encoder = with_tokens(encoder)
        self._passages = Recent[str, NDArray[np.float16]](kept, len)

    def late(self, query: str, passages: Sequence[str]) -> Vectors:
        """Return the late part of passages' scores (n,) for a query."""
        if not passages:
            return np.empty(0, np.float32)
        found: Vectors = late_scores(self._encoder.encoded_tokens([query], "query"), self._tokens(passages))[0]
        return found

    def late_of(self, query: str, passages: Sequence[QuantisedTokens]) -> Vectors:
        """Return the same for passages whose tokens were stored, up to quantisation error."""
        if not passages:
            return np.empty(0, np.float32)
        found: Vectors = late_scores(self._encoder.encoded_tokens([query], "query"), opened_tokens(passages))[0]
        return found

    def _tokens(self, texts: Sequence[str]) -> TokenVectors:
        texts = [readable(text) for text in texts]
        kept = {text: self._passages.get(text) for text in texts}
        known = {text: one for text, one in kept.items() if one is not None}
        new = [text for text in kept if text not in known]
        if new:
            made = self._encoder.encoded_tokens(new, "passage")
            for text, start, end in zip(new, made.offsets[:-1], made.offsets[1:], strict=True):
                known[text] = self._passages[text] = made.vectors[start:end].astype(np.float16)
        lengths = [len(known[text]) for text in texts]
        offsets = np.cumsum([0, *lengths], dtype=np.int64)
        even = np.repeat(1 / np.array(lengths), lengths).astype(np.float32)  # only queries' weights are used
        return TokenVectors(np.concatenate([known[text] for text in texts]).astype(np.float32), offsets, even)


def _runs(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (first, last) of runs of texts with at most some thousand tokens, or of one longer text."""
    runs, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _TOKENS, side="right")) - 1
        runs.append((first, max(last, first + 1)))
        first = runs[-1][1]
    return runs
