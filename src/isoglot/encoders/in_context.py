"""A passage's vector within its context: the whole is read, and the passage's own tokens are pooled.

A sentence says `it`, `there`, `the second one`; its paragraph says what that is. Reading the paragraph and taking the
mean of the sentence's tokens (late chunking, Günther and others 2024, arXiv 2409.04701) lets them know. Which sentence
of a paragraph answers is told less well so, and the sentences' own vectors tell it: both are taken together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoder, Model, Role, Vectors, readable
from isoglot.encoders.tokens import Tokens

if TYPE_CHECKING:
    from torch import Tensor

SHARE = 0.3


@runtime_checkable
class ContextEncoder(Encoder, Protocol):
    """An encoder that reads a text within another one."""

    def encoded_within(self, texts: list[str], contexts: list[str], role: Role, *, what: str | None = None) -> Vectors:
        """Unit vectors (n, d) of texts as parts of their contexts; `what` names the progress bar."""
        ...


def with_contexts(encoder: Encoder) -> ContextEncoder:
    """The same encoder, which reads texts within others.

    Raises:
        InputError: it knows texts by themselves only.
    """
    if isinstance(encoder, ContextEncoder):
        return encoder
    raise InputError(
        f"passages in their context: {encoder.name} reads texts by themselves; it wants one model that is opened here: "
        "a Sentence Transformer, by folder, Hub id, or `embedded`"
    )


def joined(own: Vectors, within: Vectors) -> Vectors:
    """Passages' own vectors and those within their contexts, mixed (n, d): shorter than 1 where these differ.

    A product with it is the mixture of the two cosines. Scaled to length 1 it ranks worse: a passage whose meaning
    hangs on its context would be found by more than either of them says.

    >>> joined(np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)).round(2).tolist()
    [[0.7, 0.3]]
    """
    return ((1 - SHARE) * own + SHARE * within).astype(np.float32)


def widened(vectors: Vectors, role: Role) -> Vectors:
    """Vectors (n, d) with one more dimension, so that cosines are what inner products were: (n, d + 1).

    A passage's is filled up to length 1 there, a query has nothing in it: what only knows unit vectors (an index, its
    small numbers, a database) ranks by the product.

    >>> passages = widened(np.array([[0.6, 0.0], [0.0, 1.0]], np.float32), "passage")
    >>> passages.round(2).tolist()
    [[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]]
    >>> (widened(np.array([[1.0, 0.0]], np.float32), "query") @ passages.T).round(2).tolist()
    [[0.6, 0.0]]
    """
    squares = np.einsum("ij,ij->i", vectors, vectors) if role == "passage" else np.ones(len(vectors))
    return np.column_stack([vectors, np.sqrt(np.maximum(1 - squares, 0))]).astype(np.float32)


def encode_in_context(model: Model, texts: list[str], contexts: list[str], *, what: str | None = None) -> Vectors:
    """Vectors of passages for a search by inner product: each by itself and within its context, mixed.

    Args:
        model: a Sentence Transformer that pools by the mean.
        texts: passages, such as sentences.
        contexts: what each stands in, such as its paragraph; one that its passage is not in is left out.
        what: name of the progress bar.

    Returns:
        float32 (n, d), of length 1 at most; not to be scaled (see `joined`).

    Raises:
        InputError: a model that cannot read so, or another number of contexts than texts.

    Example:
        With `model` as a Sentence Transformer.

        >>> from isoglot.encoders import encode_in_context
        >>> page = "The Ararat is a mountain. It is 5137 m high."
        >>> vectors = encode_in_context(model, ["It is 5137 m high."], [page])
        >>> bool(0.5 < (vectors**2).sum() <= 1.0001)
        True
    """
    from isoglot.encoders.encoding import as_encoder

    if len(texts) != len(contexts):
        raise InputError(f"contexts: {len(contexts)} for {len(texts)} texts; give each text its own")
    reader = with_contexts(as_encoder(model))
    own = reader.encoded(texts, "passage", what=what).vectors
    return joined(own, reader.encoded_within(texts, contexts, "passage", what=what))


class Window(NamedTuple):
    """What is read at once: some tokens of one context, and which texts are read within them."""

    tokens: slice
    texts: list[int]


class Parts(NamedTuple):
    """Windows as token ids, and the places of every text's tokens."""

    tokens: Tokens
    window: NDArray[np.int64]
    spans: list[slice]


def laid_out(
    texts: Sequence[str],
    contexts: Sequence[str],
    encode: Callable[[list[str]], list[Any]],
    head: Sequence[int],
    tail: Sequence[int],
    length: int,
) -> Parts:
    """Contexts as windows of at most `length` tokens in which each text is whole.

    A text that is not in its context, or too long for a window, is read by itself, as far as it fits.

    Args:
        texts: the parts.
        contexts: of each.
        encode: from texts to encodings of the `tokenizers` library, without special tokens.
        head: ids that stand before every window: the prompt and what the tokenizer begins with.
        tail: ids that stand behind.
        length: tokens, all included.
    """
    room = length - len(head) - len(tail)
    texts, contexts = [readable(text) for text in texts], [readable(context) for context in contexts]
    of: dict[str, list[int]] = defaultdict(list)
    for number, (text, context) in enumerate(zip(texts, contexts, strict=True)):
        of[context if text and text in context else text].append(number)
    ids: list[NDArray[np.int32]] = []
    window, spans = np.zeros(len(texts), np.int64), [slice(0)] * len(texts)
    for (whole, numbers), encoding in zip(of.items(), encode(list(of)), strict=True):
        starts, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T
        places = []
        for number in numbers:
            start = whole.index(texts[number])
            inside = np.flatnonzero((ends > start) & (starts < start + len(texts[number])))
            places.append(slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0))
        for tokens, some in windows(places, len(encoding.ids), room):
            read = np.array([*head, *encoding.ids[tokens], *tail], np.int32)
            for number in some:
                shift = len(head) - tokens.start
                first, last = places[number].start + shift, min(places[number].stop, tokens.stop) + shift
                # Of a text without tokens the whole window is taken, as where it is read by itself.
                window[numbers[number]] = len(ids)
                spans[numbers[number]] = slice(first, last) if first < last else slice(0, len(read))
            ids.append(read)
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Parts(Tokens(np.concatenate(ids) if ids else np.zeros(0, np.int32), offsets), window, spans)


def windows(spans: Sequence[slice], count: int, room: int) -> list[Window]:
    """Windows of a context of `count` tokens; a span that is longer than one begins it.

    All of a context where it has room; else as many spans as fit together, in the middle of their window.

    >>> windows([slice(0, 4), slice(4, 8)], 8, 10)
    [Window(tokens=slice(0, 8, None), texts=[0, 1])]
    >>> windows([slice(0, 4), slice(4, 8), slice(12, 20)], 30, 10)
    [Window(tokens=slice(0, 10, None), texts=[0, 1]), Window(tokens=slice(11, 21, None), texts=[2])]
    """
    if count <= room:
        return [Window(slice(0, count), list(range(len(spans))))]
    found: list[Window] = []
    order = sorted(range(len(spans)), key=lambda number: spans[number].start)
    while order:
        first = spans[order[0]].start
        some = [number for number in order if spans[number].stop <= first + room] or order[:1]
        last = max(spans[number].stop for number in some)
        start = max(0, min(first - max(0, room - (last - first)) // 2, count - room))
        found.append(Window(slice(start, start + room), some))
        order = [number for number in order if number not in some]
    return found


def pooled_within(
    parts: Parts, hidden_of: Callable[[Tokens, NDArray[np.int64]], Tensor], *, what: str, device: str
) -> Tensor:
    """Means of the texts' own tokens, float32 (n, d).

    Args:
        parts: of `laid_out`.
        hidden_of: from some windows, by number and the longest first, to their tokens' vectors, end to end.
        what: name of the progress bar.
        device: that computes.
    """
    import torch

    from isoglot.encoders.encoding import in_batches

    of: dict[int, list[int]] = defaultdict(list)
    for number, window in enumerate(parts.window.tolist()):
        of[window].append(number)
    found: dict[int, Tensor] = {}

    def take(chosen: NDArray[np.int64]) -> None:
        hidden = hidden_of(parts.tokens, chosen).float()
        lengths = parts.tokens.offsets[chosen + 1] - parts.tokens.offsets[chosen]
        for window, start in zip(chosen.tolist(), (np.cumsum(lengths) - lengths).tolist(), strict=True):
            for number in of[window]:
                span = parts.spans[number]
                found[number] = hidden[start + span.start : start + span.stop].mean(dim=0).cpu()

    in_batches(parts.tokens, take, what=what, device=device)
    return torch.stack([found[number] for number in range(len(parts.window))])
