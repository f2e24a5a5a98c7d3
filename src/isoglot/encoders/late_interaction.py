"""Late interaction: each token of a query meets the token of a passage that is nearest to it.

A text's one vector has to say everything at once; in ColBERT (Khattab and Zaharia 2020, arXiv 2004.12832) every token
keeps its own, and a passage's score is the mean, over the query's tokens, of the greatest cosine with any of its own.
Here the encoder need not be trained for it: the vectors are those that it pools anyway, and the query's tokens weigh by
their information (`token_vectors.Vocabulary`). The score is a mixture of that and the cosine of the whole texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isoglot.core.recent import Recent
from isoglot.encoders.embedder import Encoder, Vectors, readable
from isoglot.encoders.kept_tokens import KeptTokens, opened_tokens
from isoglot.encoders.token_vectors import TokenVectors, with_tokens

LATE = "late"
"""In the place of a model that ranks anew: late interaction with the index's own; `late:MODEL` with another."""
PREFIX = "late:"
SHARE = 0.6
SHARE_DRAWN = 0.3  # where the query's one vector was drawn to passages, which no token was
_TOGETHER = 512  # passages
_TOKENS = 2048  # of queries
_KEPT = 200_000  # tokens of passages; 154 MB of 384 numbers


def late_scores(queries: TokenVectors, passages: TokenVectors) -> Vectors:
    """The mean, over a query's tokens by weight, of each one's greatest cosine with a passage's: (queries, passages).

    Passages of similar length are compared together; one of them repeats its last token up to the longest's length,
    which changes no maximum.

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
    """(1 - share) * cosine + share * late, of the same shape.

    Args:
        cosines: of whole texts.
        late: of `late_scores`.
        drawn: the queries' vectors, but not their tokens, were drawn to passages (`isoglot.encoders.feedback`).
    """
    share = SHARE_DRAWN if drawn else SHARE
    return (1 - share) * cosines + share * late


@runtime_checkable
class LateScorer(Protocol):
    """What has the tokens of queries and passages compared, wherever."""

    def late(self, query: str, passages: Sequence[str]) -> Vectors:
        """The late part of the scores (n,) of passages for a query."""
        ...

    def late_of(self, query: str, passages: Sequence[KeptTokens]) -> Vectors:
        """The same of passages whose tokens were kept."""
        ...


def late_scorer(encoder: Encoder) -> LateScorer:
    """The encoder itself, where it has tokens compared; else its late interaction.

    Raises:
        InputError: an encoder that gives vectors of whole texts only.
    """
    return encoder if isinstance(encoder, LateScorer) else LateInteraction(encoder)


class LateInteraction:
    """Late interaction of an encoder, which remembers the passages that it met last. Threads may share one.

    Args:
        encoder: opened here, over tokens.
        kept: how many tokens of passages are remembered.

    Raises:
        InputError: an encoder that gives vectors of whole texts only.
    """

    def __init__(self, encoder: Encoder, *, kept: int = _KEPT) -> None:
        self._encoder = with_tokens(encoder)
        self._passages = Recent[str, NDArray[np.float16]](kept, len)

    def late(self, query: str, passages: Sequence[str]) -> Vectors:
        """The late part of the scores (n,) of passages for a query."""
        if not passages:
            return np.empty(0, np.float32)
        found: Vectors = late_scores(self._encoder.encoded_tokens([query], "query"), self._tokens(passages))[0]
        return found

    def late_of(self, query: str, passages: Sequence[KeptTokens]) -> Vectors:
        """The same of passages whose tokens were kept, within what a byte a number loses."""
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
        even = np.repeat(1 / np.array(lengths), lengths).astype(np.float32)  # only a query's weights are read
        return TokenVectors(np.concatenate([known[text] for text in texts]).astype(np.float32), offsets, even)


def _runs(offsets: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last text of runs of some thousand tokens, or one text."""
    runs, first = [], 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _TOKENS, side="right")) - 1
        runs.append((first, max(last, first + 1)))
        first = runs[-1][1]
    return runs
