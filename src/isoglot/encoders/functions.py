"""A function of one's own as an encoder: its answers checked, its rows made unit vectors."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Coroutine
from typing import Any, cast

import numpy as np

from isoglot.core.arguments import check_whole
from isoglot.core.errors import InputError
from isoglot.core.progress import Progress
from isoglot.encoders.embedder import Embedder, Encoded, Role, Vectors, check_asked, name_of, readable
from isoglot.encoders.turns import turn

BATCH_SIZE = 256


class FunctionEmbedder:
    """Any embedder, asked for each distinct text once, some texts at a time, by one thread at a time.

    A coroutine function is awaited on an event loop that all of them share, so that its client may live from one call
    to the next.

    Args:
        embed: see `Embedder`.
        name: for reports; the function's own when None.
        batch_size: the most texts that it is given at a time; its attribute `batch_size`, or 256, when None.

    Raises:
        InputError: something that cannot be called with texts and a role, or a batch size under 1.
    """

    def __init__(self, embed: Embedder, *, name: str | None = None, batch_size: int | None = None) -> None:
        _refuse_other_shapes(embed)
        if batch_size is not None:
            check_whole("batch_size", batch_size, 1)
        self.name, self.device = name or name_of(embed), "cpu"
        self._embed = embed
        own = getattr(embed, "batch_size", None)
        self._batch_size = batch_size or (own if isinstance(own, int) and own > 0 else BATCH_SIZE)

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Unit vectors, float32 (n, d); see `encoded`."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Unit vectors with what they took.

        Raises:
            InputError: no list of texts or no role, or an answer that is no array of one finite row, not all zero, a
                text.
        """
        check_asked(texts, role)
        started = time.perf_counter()
        distinct = {text: place for place, text in enumerate(dict.fromkeys(map(readable, texts)))}
        asked = list(distinct)
        parts: list[Vectors] = []
        with turn(self._embed), Progress(f"encoding {what or role}", len(asked)) as progress:
            for start in range(0, len(asked), self._batch_size):
                part = asked[start : start + self._batch_size]
                answer = self._embed(part, role)
                if inspect.isawaitable(answer):
                    answer = asyncio.run_coroutine_threadsafe(_awaited(answer), _loop()).result()
                parts.append(unit_rows(answer, part, self.name, width=parts[0].shape[1] if parts else None))
                progress.advance(len(part))
        vectors = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
        place = [distinct[readable(text)] for text in texts]
        return Encoded(
            vectors[place], len(asked), 0, time.perf_counter() - started, None, np.zeros(len(texts), np.bool_)
        )


def unit_rows(answer: Any, texts: list[str], name: str, *, width: int | None = None) -> Vectors:
    """The rows of an embedder's answer to some texts, each of length 1, float32 (texts, d).

    Args:
        answer: an array, nested lists, or a tensor.
        texts: that it was asked for, or what else names the rows.
        name: of the embedder, or of what is given.
        width: its dimension, where known.

    Raises:
        InputError: not one row a text, another width, NaN or infinity, or a row of zeros.
    """
    if hasattr(answer, "detach"):  # a torch tensor, perhaps on a GPU or in half precision
        answer = answer.detach().float().cpu()
    try:
        rows = np.asarray(answer, np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # torch refuses with the last
        raise InputError(
            f"{name}: {type(answer).__name__} that is no array of numbers ({error}); "
            f"expected one vector of the same dimension a text, ({len(texts)}, dimension)"
        ) from error
    if rows.ndim != 2 or len(rows) != len(texts) or not rows.shape[1] or width not in (None, rows.shape[1]):
        raise InputError(
            f"{name}: an array of shape {rows.shape} for {len(texts)} texts; "
            f"expected one vector a text, ({len(texts)}, {width or 'dimension'})"
        )
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if len(bad):
        seen = "all zero" if not lengths[bad[0], 0] else "with NaN or infinity"
        raise InputError(
            f"{name}: a vector {seen} for {texts[bad[0]][:60]!r} ({len(bad)} such of {len(texts)}); "
            "expected finite numbers, and something other than zero to compare"
        )
    unit: Vectors = (rows / lengths).astype(np.float32)
    return unit


def _refuse_other_shapes(embed: Any) -> None:
    wanted = "expected a Sentence Transformer, or a function from (texts, role) to an array of one vector a text"
    if not callable(embed):
        raise InputError(f"{type(embed).__name__} is no model; {wanted}")
    try:
        inspect.signature(embed).bind([], "query")
    except TypeError as error:
        raise InputError(f"{name_of(embed)}: cannot be called with texts and a role ({error}); {wanted}") from error
    except ValueError:
        return  # written in C: it says nothing of its arguments


async def _awaited(answer: Any) -> Any:
    return await cast("Coroutine[Any, Any, Any]", answer)


_background: asyncio.AbstractEventLoop | None = None
_starting = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of coroutine functions, in a thread of its own: the caller may be in one already."""
    global _background
    with _starting:
        if _background is None:
            _background = asyncio.new_event_loop()
            threading.Thread(target=_background.run_forever, name="isoglot-embedders", daemon=True).start()
        return _background
