"""A text as the vectors of its tokens, each weighed by how much it says: what late interaction compares."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isoglot.core.brief import brief
from isoglot.core.errors import InputError
from isoglot.encoders.batches import in_batches
from isoglot.encoders.embedder import Encoder, Role, Vectors

if TYPE_CHECKING:
    from torch import Tensor

    from isoglot.encoders.tokens import Tokens


@dataclass(frozen=True, eq=False)
class TokenVectors:
    """Tokens of many texts, end to end: those of text i are `offsets[i]` to `offsets[i + 1]`.

    Neither a prompt's tokens nor special ones are there, unless a text has no others.

    Attributes:
        vectors: (tokens, d) float32, unit vectors of the last layer.
        offsets: (texts + 1,) int64, strictly rising.
        weights: (tokens,) float32, which add up to 1 in every text.
        was_cut: (texts,) which texts lost their end; none where nobody asked.
    """

    vectors: Vectors
    offsets: NDArray[np.int64]
    weights: NDArray[np.float32]
    was_cut: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, texts: NDArray[np.int64]) -> TokenVectors:
        """Those of some texts, by number, in the order given."""
        lengths = np.diff(self.offsets)[texts]
        places = _ranges(self.offsets[texts], lengths)
        was_cut = self.was_cut[texts] if len(self.was_cut) else self.was_cut
        return TokenVectors(self.vectors[places], np.append(0, np.cumsum(lengths)), self.weights[places], was_cut)


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """An encoder that also gives vectors of tokens."""

    def encoded_tokens(self, texts: list[str], role: Role, *, what: str | None = None) -> TokenVectors:
        """Token vectors of texts, in their order; `what` names the progress bar."""
        ...

    def encoded_with_tokens(
        self, texts: list[str], role: Role, *, what: str | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Unit vectors (n, d) of texts, and those of their tokens with what was cut; one reading gives both."""
        ...


def with_tokens(encoder: Encoder) -> TokenEncoder:
    """The same encoder, which gives vectors of tokens.

    Raises:
        InputError: it knows whole texts only.
    """
    if isinstance(encoder, TokenEncoder):
        return encoder
    raise InputError(
        f"late interaction compares tokens, and {encoder.name} gives vectors of whole texts; it wants one model that "
        "is opened here: a Sentence Transformer, by folder, Hub id, or `embedded`"
    )


class Vocabulary:
    """What a tokenizer says of its entries.

    The weight of a token is its information, -log p: how seldom it occurs in the text, of all languages, that a
    unigram tokenizer (that of XLM-R and mE5) was made from. Others do not say, and every token weighs the same.

    Args:
        tokenizer: of the `tokenizers` library; None where a model has another.
        special: ids that no text is made of, besides those that the tokenizer names.
    """

    def __init__(self, tokenizer: Any, special: Sequence[int] = ()) -> None:
        own = {} if tokenizer is None else tokenizer.get_added_tokens_decoder()
        self._special = np.array(sorted({*special, *(id for id, token in own.items() if token.special)}), np.int64)
        model = {} if tokenizer is None else json.loads(tokenizer.to_str())["model"]
        entries = model.get("vocab", []) if model.get("type") == "Unigram" else []
        self._information = np.maximum([-score for _, score in entries], 0.0).astype(np.float32)
        # Entries that stand for single bytes have no frequency of their own; what is spelt so is rare.
        self._information[self._information == 0] = self._information.max(initial=0)

    def weigh(self, tokens: Tokens, head: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Which tokens count (all tokens of `tokens`,), and their information.

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
    """Token vectors of texts, in batches of similar length.

    Args:
        tokens: ids of the texts.
        head: ids that all of them begin with.
        hidden_of: from some texts, by number and the longest first, to their tokens' vectors, end to end.
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
    """The same with the texts' own unit vectors (n, d), where the encoder gives them.

    Args:
        tokens: as in `encode_tokens`.
        head: as in `encode_tokens`.
        read: as `hidden_of` there, and to the texts' own vectors.
        vocabulary: as in `encode_tokens`.
        what: as in `encode_tokens`.
        device: as in `encode_tokens`.
        width: dimensions that are kept of a text's vector; all when None.
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
    """The numbers of several ranges, one after the other."""
    ends = np.cumsum(lengths)
    places: NDArray[np.int64] = np.arange(int(ends[-1])) + np.repeat(starts - (ends - lengths), lengths)
    return places
