"""Exact search by an executor's workers, each given a run of passages at a time; results are merged here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from isoglot.core.errors import InputError
from isoglot.core.executors import Executor
from isoglot.encoders.embedder import Vectors
from isoglot.measuring.fingerprint import Arithmetic, arithmetic_here
from isoglot.measuring.top_k import Best, Part, Several, above, floors_of, found_in, merge, search_part

_RUN = 65_536  # passages per run, if memory allows


class _Run(NamedTuple):
    """Passages for a worker, and score floors per query, float32 (Q,): in its own language, and in all languages."""

    parts: list[Part]
    own: NDArray[np.float32]
    pooled: NDArray[np.float32] | None


class _Asked(NamedTuple):
    """The search that every worker performs."""

    queries: Vectors
    langs: NDArray[np.int16]
    depth: int
    memory: int
    arithmetic: Arithmetic


def search_elsewhere(
    queries: Vectors,
    query_lang: NDArray[np.int16],
    parts: Iterable[Part],
    own: Best,
    pooled: Best,
    executor: Executor,
    memory: int,
) -> None:
    """Search every query in a corpus with an executor's workers; arguments as in `search_part`.

    Workers use the same product shapes as a local search, so the result is bit-identical to that of one process whose
    BLAS uses as many threads as a worker's.

    Args:
        queries: float32 (Q, d), unit length.
        query_lang: language numbers, int16 (Q,).
        parts: passages in reading order; read a few runs ahead.
        own: updated in place.
        pooled: updated in place.
        executor: its workers search.
        memory: bytes for a block of passages and its scores on each worker, and for the runs being sent from here.

    Raises:
        InputError: a worker has another BLAS, or its products differ.
    """
    with threadpool_limits(executor.threads, user_api="blas"):
        wanted = arithmetic_here(queries.shape[1])
    asked = _Asked(queries, query_lang, own.scores.shape[1], memory, wanted)
    # In memory: two runs per worker, each as vectors and as sent; one being gathered and one held by the reader.
    rows = max(1, min(_RUN, memory // (8 * queries.shape[1] * (2 * executor.workers + 2))))

    def runs() -> Iterator[_Run]:
        for some in _gathered(parts, rows):
            # Passages that are worse than those already found need not be sent back.
            yield _Run(some, floors_of(own), None if pooled is own else floors_of(pooled))

    for _, (of_own, of_all) in executor.run(partial(_opened, asked), runs()):
        merge(own, of_own)
        if of_all is not None:
            merge(pooled, of_all)


def _gathered(parts: Iterable[Part], rows: int) -> Iterator[list[Part]]:
    """Group parts, unsplit, into runs of at least `rows` passages (but for the last)."""
    run: list[Part] = []
    count = 0
    for part in parts:
        run.append(part)
        count += len(part.vectors)
        if count >= rows:
            yield run
            run, count = [], 0
    if run:
        yield run


def _opened(asked: _Asked) -> Callable[[_Run], tuple[Several, Several | None]]:
    """On a worker: return the function that searches a run.

    Raises:
        InputError: the worker's arithmetic differs from that of the main process.
    """
    threadpool_limits(asked.arithmetic.threads, user_api="blas")
    here = arithmetic_here(asked.queries.shape[1])
    if here != asked.arithmetic:
        raise InputError(
            f"a worker's arithmetic ({here}) differs from this machine's ({asked.arithmetic}), so ranks would depend "
            "on the machine; use machines of one kind with the same NumPy, or set OPENBLAS_CORETYPE on all"
        )
    return partial(_search, asked)


def _search(asked: _Asked, run: _Run) -> tuple[Several, Several | None]:
    own = above(run.own, asked.depth)
    pooled = own if run.pooled is None else above(run.pooled, asked.depth)
    for part in run.parts:
        search_part(asked.queries, asked.langs, part, own, pooled, asked.memory)
    return found_in(own), None if pooled is own else found_in(pooled)
