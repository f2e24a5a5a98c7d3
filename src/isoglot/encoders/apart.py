"""An encoder in a process of its own, so that a server's requests and its encoder do not share one interpreter.

Python runs one thread at a time. An encoder calls hundreds of small operations for a query, and waits after each for
whatever request is being read or written; requests wait for it. Apart from each other both run at their own pace, and
an encoder that dies or hangs is started anew while the server goes on.
"""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from queue import LifoQueue
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from isoglot.core.errors import IsoglotError
from isoglot.encoders.embedder import Encoded, Encoder, Role, Vectors
from isoglot.encoders.workers import leave_with_parent

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)
_TRIES = 2  # for what was asked when the process died


class Apart:
    """An encoder that another process holds open.

    The process ends with `close` or with this one, also where this one is killed. One that died is started anew by
    whoever asks next.

    Args:
        opener: opens the encoder; picklable.
        at_once: threads of this process that are answered at the same time.
        patience: seconds that an answer may take; a process that takes longer is ended.

    Raises:
        InputError: as the opener.
        IsoglotError: the process died while it opened the encoder.
    """

    def __init__(self, opener: Callable[[], Encoder], *, at_once: int = 4, patience: float = 120.0) -> None:
        self._opener, self._at_once, self._patience = opener, at_once, patience
        self._starting, self._closed = threading.Lock(), False
        self._running: _Process | None = None
        self.name, self.device, self.length = self.ask(_described)

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Unit vectors, float32 (n, d)."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Unit vectors with what they took."""
        return self.ask(_encoded, texts, role, what)

    def ask(self, function: Callable[Concatenate[Encoder, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a function says of the encoder, called in its process.

        Args:
            function: picklable by name, as its answer.
            args: after the encoder.
            kwargs: after these.

        Raises:
            IsoglotError: the process died over this twice, or took too long.
        """
        for _ in range(_TRIES):
            running = self._process()
            try:
                return cast(R, running.answer(function, args, kwargs, self._patience))
            except _DiedError:
                running.end()
        raise IsoglotError("the process of the encoder died (out of memory?)")

    def close(self) -> None:
        """End the process; nothing can be asked any more."""
        with self._starting:
            self._closed = True
            if self._running is not None:
                self._running.end()

    def _process(self) -> _Process:
        with self._starting:
            if self._closed:
                raise IsoglotError("the encoder is closed")
            if self._running is None or self._running.ended:
                if self._running is not None:
                    _log.warning("the process of the encoder ended; it is started anew")
                self._running = _Process(self._opener, self._at_once)
            return self._running


class _DiedError(Exception):
    """The process ended before it answered."""


class _Process:
    """One process from its start to its end."""

    def __init__(self, opener: Callable[[], Encoder], at_once: int) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(at_once)]
        theirs = [there for _, there in pairs]
        self._process = context.Process(target=_serve, args=(opener, theirs), name="isoglot-encoder", daemon=True)
        self._process.start()
        for there in theirs:
            there.close()
        # Before Python's own way of ending such processes at exit: it asks them to, and waits.
        self._end = Finalize(self, _kill, (self._process,), exitpriority=10)
        self._free: LifoQueue[Connection] = LifoQueue()
        for here, _ in pairs:
            self._free.put(here)
        try:
            self._receive(pairs[0][0], None)
        except _DiedError:
            code = self._process.exitcode
            self.end()
            raise IsoglotError(
                f"the process of the encoder ended while it was opened (exit code {code}; out of memory?); "
                'a script wants its own work under `if __name__ == "__main__":`'
            ) from None
        except BaseException:
            self.end()
            raise

    @property
    def ended(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._process.exitcode is not None

    def answer(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], patience: float) -> Any:
        """What the function says there.

        Raises:
            _DiedError: the process ended.
            IsoglotError: it took too long, and was ended.
        """
        connection = self._free.get()
        try:
            connection.send((function, args, kwargs))
            return self._receive(connection, patience)
        except OSError:
            raise _DiedError from None
        finally:
            self._free.put(connection)

    def _receive(self, connection: Connection, patience: float | None) -> Any:
        if not wait([connection, self._process.sentinel], patience):
            self.end()
            raise IsoglotError(f"the encoder took more than {patience:g} seconds, and was ended")
        try:
            done, value = connection.recv()
        except (EOFError, OSError):
            raise _DiedError from None
        if not done:
            raise value
        return value

    def end(self) -> None:
        """Kill the process: it holds nothing that could be lost."""
        self._end()


def _kill(process: Any) -> None:
    process.kill()
    process.join(5)


def _described(encoder: Encoder) -> tuple[str, str, int | None]:
    return encoder.name, encoder.device, getattr(encoder, "length", None)


def _encoded(encoder: Encoder, texts: list[str], role: Role, what: str | None) -> Encoded:
    return encoder.encoded(texts, role, what=what)


def _serve(opener: Callable[[], Encoder], connections: list[Connection]) -> None:
    """In the process: answer on each connection in a thread of its own."""
    # A terminal and a supervisor tell every process of a group to stop; the server answers what is under way first.
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    threading.Thread(target=leave_with_parent, daemon=True).start()
    first = connections[0]
    try:
        encoder = opener()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is for who opens
        _send(first, False, error)
        return
    _send(first, True, None)
    threads = [threading.Thread(target=_answer, args=(encoder, connection)) for connection in connections]
    for thread in threads:
        thread.start()


def _answer(encoder: Encoder, connection: Connection) -> None:
    with suppress(EOFError, OSError):  # nobody asks any more
        while True:
            function, args, kwargs = connection.recv()
            try:
                value = function(encoder, *args, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is for who asked
                _send(connection, False, error)
            else:
                _send(connection, True, value)


def _send(connection: Connection, done: bool, value: Any) -> None:
    """Send an answer; an exception that cannot be sent as it is goes as its text."""
    if not done:
        try:
            pickle.loads(pickle.dumps(value))
        except Exception:  # noqa: BLE001 - exceptions pickle as their authors thought of it, if they did
            value = IsoglotError(f"{type(value).__name__}: {value}")
    connection.send((done, value))
