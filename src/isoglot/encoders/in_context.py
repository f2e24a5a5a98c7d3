"""A passage's vector within its context: the whole is read, and the passage's own tokens are pooled.

A sentence says `it`, `there`, `the second one`; its paragraph says what that is. Reading the paragraph and taking the
mean of the sentence's tokens (late chunking, Günther and others 2024, arXiv 2409.04701) lets them know. Which sentence
of a paragraph answers is told less well so, and the sentences' own vectors tell it: both are taken together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from isoglot.core.arguments import check_kind
from isoglot.core.errors import InputError
from isoglot.encoders.embedder import Encoder, Model, Role, Vectors, readable

if TYPE_CHECKING:
    from torch import Tensor

    from isoglot.encoders.tokens import Tokens

SHARE = 0.3
_TOGETHER = 256  # contexts


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
        f"passages in their context: {encoder.name} reads texts by themselves; it wants one Sentence Transformer that "
        "is opened in full here"
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
        contexts: what each stands in, such as its paragraph; one that its passage is not in is left out, and of several
            places in it the first one counts.
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

    require_contexts(texts, contexts)
    reader = with_contexts(as_encoder(model))
    own = reader.encoded(texts, "passage", what=what).vectors
    return joined(own, reader.encoded_within(texts, contexts, "passage", what=what))


def require_contexts(texts: Sequence[str], contexts: Sequence[str]) -> None:
    """Refuse what is not a text for each text.

    Raises:
        InputError: saying what it is.
    """
    for name, given in (("texts", texts), ("contexts", contexts)):
        check_kind(name, given, (list, tuple), "a list of texts")
        odd = [text for text in given if not isinstance(text, str)]
        if odd:
            raise InputError(f"{name}: hold {odd[0]!r}; expected texts alone")
    if len(texts) != len(contexts):
        raise InputError(f"contexts: {len(contexts)} for {len(texts)} texts; give each text its own")


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
    prompt: str,
    length: int,
) -> Parts:
    """Contexts as windows of at most `length` tokens in which each text is whole.

    A text that is not in its context is read by itself; of one that is too long for a window, as much as fits. Where it
    stands in its context several times, the first place counts.

    Args:
        texts: the parts.
        contexts: of each.
        encode: from texts to encodings of the `tokenizers` library, with special tokens.
        prompt: stands before every window.
        length: tokens, all included.
    """
    from isoglot.encoders.tokens import Tokens

    texts, contexts = [readable(text) for text in texts], [readable(context) for context in contexts]
    of: dict[str, list[int]] = defaultdict(list)
    for number, (text, context) in enumerate(zip(texts, contexts, strict=True)):
        of[context if text and text in context else text].append(number)
    ids: list[NDArray[np.int32]] = []
    window, spans = np.zeros(len(texts), np.int64), [slice(0, 0)] * len(texts)
    for whole, encoding in _encoded(list(of), encode, prompt):
        numbers, read = of[whole], np.array(encoding.ids, np.int32)
        starts, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T - len(prompt)
        # What is neither special nor the prompt's is the context's; the rest stands around every window.
        body = np.flatnonzero((np.array(encoding.special_tokens_mask) == 0) & (ends > 0))
        first, last = (int(body[0]), int(body[-1]) + 1) if len(body) else (len(read), len(read))
        places = []
        for number in numbers:
            start = whole.index(texts[number])
            inside = body[(ends[body] > start) & (starts[body] < start + len(texts[number]))]
            places.append(slice(int(inside[0]) - first, int(inside[-1]) + 1 - first) if len(inside) else slice(0, 0))
        for tokens, some in windows(places, last - first, max(1, length - len(read) + last - first)):
            part = np.concatenate([read[:first], read[first:last][tokens], read[last:]])
            for number in some:
                shift = first - tokens.start
                begin, end = places[number].start + shift, min(places[number].stop, tokens.stop) + shift
                # Of a text without tokens the whole window is taken, as where it is read by itself.
                window[numbers[number]] = len(ids)
                spans[numbers[number]] = slice(begin, end) if begin < end else slice(0, len(part))
            ids.append(part if len(part) else np.zeros(1, np.int32))
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Parts(Tokens(np.concatenate(ids) if ids else np.zeros(0, np.int32), offsets), window, spans)


def _encoded(wholes: Sequence[str], encode: Callable[[list[str]], list[Any]], prompt: str) -> Iterator[tuple[str, Any]]:
    """Some hundred contexts at a time, each with its encoding."""
    for start in range(0, len(wholes), _TOGETHER):
        some = wholes[start : start + _TOGETHER]
        yield from zip(some, encode([prompt + whole for whole in some]), strict=True)


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
        fitting = {number for number in order if spans[number].stop <= first + room} or {order[0]}
        some = [number for number in order if number in fitting]
        last = max(spans[number].stop for number in some)
        start = max(0, min(first - max(0, room - (last - first)) // 2, count - room))
        found.append(Window(slice(start, start + room), some))
        order = [number for number in order if number not in fitting]
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
        hidden = hidden_of(parts.tokens, chosen).float().cpu()
        lengths = parts.tokens.offsets[chosen + 1] - parts.tokens.offsets[chosen]
        for window, start in zip(chosen.tolist(), (np.cumsum(lengths) - lengths).tolist(), strict=True):
            for number in of[window]:
                span = parts.spans[number]
                found[number] = hidden[start + span.start : start + span.stop].mean(dim=0)

    in_batches(parts.tokens, take, what=what, device=device)
    return torch.stack([found[number] for number in range(len(parts.window))])
