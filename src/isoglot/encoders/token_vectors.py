"""A text as the vectors of its tokens, weighted by information content, for late interaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.core.short_repr import brief
from isoglot.encoders.batches import in_batches
from isoglot.encoders.embedder import Encoder, Role, Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from isoglot.encoders.tokens import Tokens


@dataclass(frozen=True, eq=False)
class TokenVectors:
    """Token vectors of many texts, concatenated: those of text i are `offsets[i]` to `offsets[i + 1]`.

    Tokens of the prompt and special tokens are left out, unless a text has no others.

    Attributes:
        vectors: (tokens, d) float32, the last layer's output as unit vectors.
        offsets: (texts + 1,) int64, strictly increasing.
        weights: (tokens,) float32, summing to 1 within each text.
        was_cut: (texts,) which texts were truncated; empty if this was not requested.
    """

    vectors: Vectors
    offsets: NDArray[np.int64]
    weights: NDArray[np.float32]
    was_cut: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, texts: NDArray[np.int64]) -> TokenVectors:
        """Return the tokens of some texts, by index, in the given order."""
        lengths = np.diff(self.offsets)[texts]
        places = _ranges(self.offsets[texts], lengths)
        was_cut = self.was_cut[texts] if len(self.was_cut) else self.was_cut
        return TokenVectors(self.vectors[places], np.append(0, np.cumsum(lengths)), self.weights[places], was_cut)


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """An encoder that also returns token vectors."""

    def encoded_tokens(self, texts: list[str], role: Role, *, what: str | None = None) -> TokenVectors:
        """Return token vectors of texts, in order; `what` names the progress bar."""
        ...

    def encoded_with_tokens(
        self, texts: list[str], role: Role, *, what: str | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Return the texts' unit vectors (n, d) and token vectors (with truncation flags), from one forward pass."""
        ...


def with_tokens(encoder: Encoder) -> TokenEncoder:
    """Return the same encoder if it can return token vectors.

    Raises:
        InputError: it returns vectors of whole texts only.
    """
    if isinstance(encoder, TokenEncoder):
        return encoder
    raise InputError(
        f"late interaction compares tokens, but {encoder.name} gives vectors of whole texts; use one model that "
        "is opened here: a Sentence Transformer, by folder, Hub id, or `embedded`"
    )


class Vocabulary:
    """Information about a tokenizer's vocabulary.

    The weight of a token is its information, -log p, where p is its frequency in the text of all languages on which a
    unigram tokenizer (such as that of XLM-R and mE5) was trained. Other tokenizers do not state it, and all their
    tokens have equal weight.

    Args:
        tokenizer: of the `tokenizers` library; None if the model has another kind.
        special: ids of special tokens, besides those that the tokenizer declares.
    """

    def __init__(self, tokenizer: Any, special: Sequence[int] = ()) -> None:
        own = {} if tokenizer is None else tokenizer.get_added_tokens_decoder()
        self._special = np.array(sorted({*special, *(id for id, token in own.items() if token.special)}), np.int64)
        model = {} if tokenizer is None else json.loads(tokenizer.to_str())["model"]
        entries = model.get("vocab", []) if model.get("type") == "Unigram" else []
        self._information = np.maximum([-score for _, score in entries], 0.0).astype(np.float32)
        # Byte tokens have no frequency of their own; text that needs them is rare.
        self._information[self._information == 0] = self._information.max(initial=0)

    def weigh(self, tokens: Tokens, head: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return a mask of the tokens that count (all tokens of `tokens`,), and the information of each.

        Args:
            tokens: ids of texts.
            head: ids that the texts begin with: the prompt's.
        """
        ids, starts, ends = tokens.ids, tokens.offsets[:-1], tokens.offsets[1:]
        counts = ~np.isin(ids, self._special)
        same = np.ones(len(starts), np.bool_)
        for place, id in enumerate(head):
            same &= ends - starts > place
            same[same] = ids[starts[same] + place] == id
            counts[starts[same] + place] = False
        text = np.repeat(np.arange(len(starts)), ends - starts)
        bare = np.bincount(text[counts], minlength=len(starts)) == 0
        counts |= bare[text]
        known = ids < len(self._information)
        weights = np.ones(len(ids), np.float32)
        weights[known] = self._information[ids[known]]
        return counts, weights


def encode_tokens(
    tokens: Tokens,
    head: Sequence[int],
    hidden_of: Callable[[Tokens, NDArray[np.int64]], Tensor],
    vocabulary: Vocabulary,
    *,
    what: str,
    device: str,
) -> TokenVectors:
    """Return token vectors of texts, encoding in batches of similar length.

    Args:
        tokens: ids of the texts.
        head: ids that all of them begin with.
        hidden_of: maps texts, by index and longest first, to their tokens' vectors, concatenated.
        vocabulary: of the tokenizer.
        what: name of the progress bar.
        device: that computes.
    """

    def read(tokens: Tokens, texts: NDArray[np.int64]) -> tuple[Tensor, None]:
        return hidden_of(tokens, texts), None

    return encode_both(tokens, head, read, vocabulary, what=what, device=device)[1]


def encode_both(
    tokens: Tokens,
    head: Sequence[int],
    read: Callable[[Tokens, NDArray[np.int64]], tuple[Tensor, Tensor | None]],
    vocabulary: Vocabulary,
    *,
    what: str,
    device: str,
    width: int | None = None,
) -> tuple[Vectors, TokenVectors]:
    """Return the texts' own unit vectors (n, d), if the encoder returns them, and their token vectors.

    Args:
        tokens: as in `encode_tokens`.
        head: as in `encode_tokens`.
        read: like `hidden_of` there, but also returns the texts' own vectors.
        vocabulary: as in `encode_tokens`.
        what: as in `encode_tokens`.
        device: as in `encode_tokens`.
        width: dimensions kept of a text's vector; all when None.
    """
    from torch.nn.functional import normalize

    counts, weights = vocabulary.weigh(tokens, head)
    offsets = np.append(0, np.cumsum(counts))[tokens.offsets]
    vectors, whole = np.empty((offsets[-1], 0), np.float32), np.empty((len(tokens), 0), np.float32)

    def take(texts: NDArray[np.int64]) -> None:
        nonlocal vectors, whole
        lengths = tokens.offsets[texts + 1] - tokens.offsets[texts]
        places = _ranges(tokens.offsets[texts], lengths)
        hidden, own = read(tokens, texts)
        found = normalize(hidden.float()).cpu().numpy()[counts[places]]
        if not vectors.shape[1]:
            vectors = np.empty((offsets[-1], found.shape[1]), np.float32)
        vectors[_ranges(offsets[texts], np.diff(offsets)[texts])] = found
        if own is not None:
            unit = normalize(own.float()[:, :width]).cpu().numpy()
            if not whole.shape[1]:
                whole = np.empty((len(tokens), unit.shape[1]), np.float32)
            whole[texts] = unit

    in_batches(tokens, take, what=what, device=device)
    own = np.maximum(weights[counts], np.float32(1e-6))
    sums = np.add.reduceat(own, offsets[:-1]) if len(tokens) else own
    was_cut = np.zeros(0, np.bool_) if tokens.cut is None else tokens.cut
    return whole, TokenVectors(vectors, offsets, own / np.repeat(sums, np.diff(offsets)), was_cut)


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of several ranges, concatenated."""
    ends = np.cumsum(lengths)
    places: NDArray[np.int64] = np.arange(int(ends[-1])) + np.repeat(starts - (ends - lengths), lengths)
    return places
