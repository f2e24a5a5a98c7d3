"""Split contexts into windows that fit the model, and pool texts within them as the mean of their tokens' vectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.core.errors import InputError
from isoglot.encoders.batches import in_batches
from isoglot.encoders.embedder import check_texts, readable

if TYPE_CHECKING:
    from torch import Tensor

    from isoglot.encoders.tokens import Tokens

_TOGETHER = 256  # contexts per batch


def require_contexts(texts: Sequence[str], contexts: Sequence[str]) -> None:
    """Check that there is one context, a text, for each text.

    Raises:
        InputError: naming the problem.
    """
    check_texts("texts", texts)
    check_texts("contexts", contexts)
    if len(texts) != len(contexts):
        raise InputError(f"contexts: {len(contexts)} for {len(texts)} texts; give each text its own")


class Window(NamedTuple):
    """Part of a context that is encoded at once: a slice of its tokens, and the texts that are pooled within it."""

    tokens: slice
    texts: list[int]


class Parts(NamedTuple):
    """Windows as token ids; per text, its window and the slice of its tokens there."""

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
    """Split contexts into windows of at most `length` tokens, such that each text is whole in one of them.

    A text that its context does not contain is encoded alone; of one that is too long for a window, as much as fits. If
    a text occurs several times, the first occurrence counts.

    Args:
        texts: the parts.
        contexts: of each.
        encode: maps texts to encodings of the `tokenizers` library, with special tokens.
        prompt: prepended to every window.
        length: in tokens, including special ones and the prompt.
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
        body, places = _located(encoding, whole, [texts[number] for number in numbers], len(prompt))
        before, inner, after = read[: body.start], read[body], read[body.stop :]
        for tokens, some in windows(places, len(inner), max(1, length - len(before) - len(after))):
            part = np.concatenate([before, inner[tokens], after])
            for number in some:
                shift = body.start - tokens.start
                begin, end = places[number].start + shift, min(places[number].stop, tokens.stop) + shift
                # For a text without tokens, pool the whole window, as when it is encoded alone.
                window[numbers[number]] = len(ids)
                spans[numbers[number]] = slice(begin, end) if begin < end else slice(0, len(part))
            ids.append(part if len(part) else np.zeros(1, np.int32))
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Parts(Tokens(np.concatenate(ids) if ids else np.zeros(0, np.int32), offsets), window, spans)


def _located(encoding: Any, whole: str, texts: Sequence[str], prompt: int) -> tuple[slice, list[slice]]:
    """Return which tokens are a context's, and which of these are each text's; `prompt` is its number of characters.

    Tokens that are neither special nor of the prompt belong to the context; the others surround every window.
    """
    starts, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T - prompt
    body = np.flatnonzero((np.array(encoding.special_tokens_mask) == 0) & (ends > 0))
    first, last = (int(body[0]), int(body[-1]) + 1) if len(body) else (len(ends), len(ends))
    places = []
    for text in texts:
        start = whole.index(text)
        inside = body[(ends[body] > start) & (starts[body] < start + len(text))] - first
        places.append(slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0))
    return slice(first, last), places


def _encoded(wholes: Sequence[str], encode: Callable[[list[str]], list[Any]], prompt: str) -> Iterator[tuple[str, Any]]:
    """Yield contexts with their encodings, encoding some hundred at a time."""
    for start in range(0, len(wholes), _TOGETHER):
        some = wholes[start : start + _TOGETHER]
        yield from zip(some, encode([prompt + whole for whole in some]), strict=True)


def windows(spans: Sequence[slice], count: int, room: int) -> list[Window]:
    """Return windows of at most `room` tokens over a context of `count`; a span longer than that starts its window.

    If the whole context fits in `room`, one window; else as many spans as fit together, centred in their window.

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
    """Return the mean of each text's own tokens, float32 (n, d).

    Args:
        parts: from `laid_out`.
        hidden_of: maps windows, by index and longest first, to their tokens' vectors, concatenated.
        what: name of the progress bar.
        device: that computes.
    """
    import torch

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
