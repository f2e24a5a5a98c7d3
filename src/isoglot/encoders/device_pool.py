"""One encoder on several devices, one process each."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from isoglot.core.errors import InputError, IsoglotError
from isoglot.core.progress import Progress
from isoglot.encoders.embedder import Encoded, Role, Vectors, check_asked, readable
from isoglot.encoders.encoding import encode
from isoglot.encoders.workers import Opener, ended_by_interrupts, start_workers, worker_embedder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_LEAST = 16  # texts per piece
_PIECES = 8  # per process, so that none waits long for the last


class DevicePool:
    """An embedder that distributes texts to processes, each with the model open on its own device.

    Vectors equal those of a single process, up to rounding. The processes end with `close`, or with this process.

    Args:
        opener: opens the encoder on a device; picklable.
        devices: such as `cuda:0`, `cuda:1`; or `cpu`, `cpu`.
        name: of the model, for reports.

    Raises:
        InputError: fewer than two devices.
    """

    def __init__(self, opener: Opener, devices: Sequence[str], *, name: str) -> None:
        if len(devices) < 2:
            raise InputError(f"devices {', '.join(devices) or '(none)'}: expected at least two, such as 0,1 or cpu,cpu")
        self.name, self.device = name, ", ".join(devices)
        self._opener = opener
        self._pool, self._processes = start_workers(opener, devices), len(devices)
        # A pool that is garbage-collected without a shutdown closes its queues under processes still starting.
        self._end = weakref.finalize(self, _end, self._pool)

    @cached_property
    def length(self) -> int | None:
        """Maximum tokens per text; waits for the first process to open the model.

        Raises:
            IsoglotError: a process died.
        """
        with self._told_if_one_dies():
            return self._pool.submit(_length).result()

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model in this process, on the CPU, for the sake of its tokenizer."""
        model: SentenceTransformer = self._opener("cpu").model  # type: ignore[attr-defined]
        return model

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors with their statistics.

        Raises:
            InputError: not a list of texts, an unknown role, or a model that cannot be opened on one of the devices.
            IsoglotError: a process died.
        """
        check_asked(texts, role)
        started = time.perf_counter()
        distinct, place = np.unique(np.array([*map(readable, texts)], dtype=object), return_inverse=True)
        # Texts of similar length share a piece, and long ones come first, so that the last pieces are quick.
        order = np.argsort([-len(text) for text in distinct], kind="stable")
        pieces = np.array_split(order, max(1, min(len(order) // _LEAST, _PIECES * self._processes)))
        found: list[Encoded | None] = [None] * len(pieces)
        with self._told_if_one_dies():
            flying = {self._pool.submit(_encode, distinct[own].tolist(), role): at for at, own in enumerate(pieces)}
            with Progress(f"encoding {what or role} on {self._processes} devices", len(distinct)) as progress:
                for future in as_completed(flying):
                    found[flying[future]] = future.result()
                    progress.advance(len(pieces[flying[future]]))
        parts = [part for part in found if part is not None]
        back = np.argsort(np.concatenate(pieces), kind="stable")[place]
        return Encoded(
            np.concatenate([part.vectors for part in parts])[back],
            len(distinct),
            sum(part.tokens for part in parts),
            time.perf_counter() - started,
            parts[0].length,
            np.concatenate([part.was_cut for part in parts])[back],
        )

    @contextmanager
    def _told_if_one_dies(self) -> Iterator[None]:
        """Turn the death of a process into a clear error; whatever else ends the block drops what is not encoded yet.

        Raises:
            IsoglotError: a process died.
        """
        try:
            with ended_by_interrupts(self._pool):
                yield
        except BrokenProcessPool as error:
            raise IsoglotError(
                "an encoding process died (out of memory?); give fewer devices, or a shorter length; a script needs "
                'its own code under `if __name__ == "__main__":`'
            ) from error
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise

    def close(self) -> None:
        """End the processes."""
        self._end()

    def __enter__(self) -> DevicePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _end(pool: ProcessPoolExecutor) -> None:
    with suppress(KeyboardInterrupt):  # the processes received it too
        pool.shutdown(cancel_futures=True)


def _length() -> int | None:
    return getattr(worker_embedder(), "length", None)


def _encode(texts: list[str], role: Role) -> Encoded:
    return encode(worker_embedder(), texts, role)
