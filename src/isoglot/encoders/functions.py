"""Use a user's function as an encoder: check its results and normalise the rows."""

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
from isoglot.encoders.model_locks import turn

BATCH_SIZE = 256


class FunctionEmbedder:
    """An encoder around any embedder: calls it once for each distinct text, in batches, from one thread at a time.

    Coroutine functions are awaited on one shared event loop, so that an asynchronous client can be kept between calls.

    Args:
        embed: see `Embedder`.
        name: shown in reports; the function's own when None.
        batch_size: maximum number of texts per call; the attribute `batch_size`, or 256, when None.

    Raises:
        InputError: not callable with texts and a role, or a batch size under 1.
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
        """Return unit vectors, float32 (n, d); see `encoded`."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors with their statistics.

        Raises:
            InputError: not a list of texts, an unknown role, or a result that is not an array with one finite, nonzero
                row per text.
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
    """Return the rows of an embedder's result, scaled to unit length, float32 (texts, d).

    Args:
        answer: an array, nested lists, or a tensor.
        texts: the texts that were embedded, or other names of the rows for messages.
        name: of the embedder, or of the data.
        width: expected dimension, if known.

    Raises:
        InputError: not one row per text, another dimension, NaN or infinity, or a row of zeros.
    """
    if hasattr(answer, "detach"):  # a torch tensor, perhaps on a GPU or in half precision
        answer = answer.detach().float().cpu()
    try:
        rows = np.asarray(answer, np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # torch raises the last
        raise InputError(
            f"{name}: {type(answer).__name__} is not an array of numbers ({error}); "
            f"expected one vector per text, all of one dimension, ({len(texts)}, dimension)"
        ) from error
    if rows.ndim != 2 or len(rows) != len(texts) or not rows.shape[1] or width not in (None, rows.shape[1]):
        raise InputError(
            f"{name}: an array of shape {rows.shape} for {len(texts)} texts; "
            f"expected one vector per text, ({len(texts)}, {width or 'dimension'})"
        )
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]) | (lengths[:, 0] == 0))
    if len(bad):
        seen = "all zero" if not lengths[bad[0], 0] else "with NaN or infinity"
        raise InputError(
            f"{name}: a vector {seen} for {texts[bad[0]][:60]!r} ({len(bad)} such of {len(texts)}); "
            "expected finite numbers, not all zero"
        )
    unit: Vectors = (rows / lengths).astype(np.float32)
    return unit


def _refuse_other_shapes(embed: Any) -> None:
    wanted = "expected a Sentence Transformer, or a function from (texts, role) to an array of one vector per text"
    if not callable(embed):
        raise InputError(f"{type(embed).__name__} is not a model; {wanted}")
    try:
        inspect.signature(embed).bind([], "query")
    except TypeError as error:
        raise InputError(f"{name_of(embed)}: cannot be called with texts and a role ({error}); {wanted}") from error
    except ValueError:
        return  # implemented in C, without a signature


async def _awaited(answer: Any) -> Any:
    return await cast("Coroutine[Any, Any, Any]", answer)


_background: asyncio.AbstractEventLoop | None = None
_starting = threading.Lock()


def _loop() -> asyncio.AbstractEventLoop:
    """Return the event loop for coroutine functions, in its own thread since the caller may already be running one."""
    global _background
    with _starting:
        if _background is None:
            _background = asyncio.new_event_loop()
            threading.Thread(target=_background.run_forever, name="isoglot-embedders", daemon=True).start()
        return _background
