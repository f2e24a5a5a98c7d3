"""Run an encoder in a separate process, so that a server's requests and its encoder do not share one interpreter.

Python runs one thread at a time. For a query, an encoder calls hundreds of small operations and may wait after each for
a request that is being parsed or written, and requests wait for the encoder. In separate processes neither slows the
other, and an encoder that dies or hangs is restarted while the server goes on.
"""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from queue import Empty, LifoQueue
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from isoglot.core.errors import IsoglotError
from isoglot.core.streams import open_streams
from isoglot.encoders.embedder import Encoded, Encoder, Role, Vectors
from isoglot.encoders.late_interaction import LateInteraction
from isoglot.encoders.quantised_tokens import QuantisedTokens
from isoglot.encoders.workers import leave_with_parent

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)
_TRIES = 2  # attempts at a call when the process dies


class EncoderProcess:
    """An encoder held open by another process.

    That process ends with `close` or with this process, even if this one is killed. If it died, the next call
    restarts it.

    Args:
        opener: opens the encoder; picklable.
        at_once: threads of this process that are served concurrently.
        patience: maximum seconds for a call, or for a restarted process to open the encoder; then it is killed.

    Raises:
        InputError: as raised by the opener.
        IsoglotError: the process died while opening the encoder.
    """

    def __init__(self, opener: Callable[[], Encoder], *, at_once: int = 4, patience: float = 120.0) -> None:
        self._opener, self._at_once, self._patience = opener, at_once, patience
        self._starting, self._closed = threading.Lock(), False
        # No limit at first: loading a model over a slow network takes long, and the user can interrupt it.
        self._running = _Process(opener, at_once)
        self._running.wait_until_open(None)
        self.name, self.device, self.length = self.ask(_described)

    def __call__(self, texts: list[str], role: Role, /) -> Vectors:
        """Return unit vectors, float32 (n, d)."""
        return self.encoded(texts, role).vectors

    def encoded(self, texts: list[str], role: Role, *, what: str | None = None) -> Encoded:
        """Return unit vectors with their statistics."""
        return self.ask(_encoded, texts, role, what)

    def late(self, query: str, passages: Sequence[str]) -> Vectors:
        """Return the late part of passages' scores (n,) for a query, computed by `LateInteraction` in the process.

        Raises:
            InputError: the encoder returns vectors of whole texts only.
        """
        return self.ask(_late, query, list(passages))

    def late_of(self, query: str, passages: Sequence[QuantisedTokens]) -> Vectors:
        """Return the same for passages whose tokens were stored.

        Raises:
            InputError: the encoder returns vectors of whole texts only.
        """
        return self.ask(_late_of, query, list(passages))

    def ask(self, function: Callable[Concatenate[Encoder, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function with the encoder in its process, and return the result.

        Args:
            function: picklable by name; its result must be picklable.
            args: passed after the encoder.
            kwargs: passed after `args`.

        Raises:
            IsoglotError: the process died twice during the call, or took too long; or it was closed.
            Exception: whatever the function raises, or the opener when the process is restarted.
        """
        tries = 0
        while tries < _TRIES:
            running = self._process()
            try:
                return cast(R, running.answer(function, args, kwargs, self._patience))
            except _DiedError as died:
                running.end()
                tries += died.asked  # a call that was still waiting for a connection did not cause it
        raise IsoglotError("the process of the encoder died (out of memory?)")

    def close(self) -> None:
        """End the process; later calls raise an error."""
        self._closed = True
        self._running.end()

    def _process(self) -> _Process:
        with self._starting:
            if self._closed:
                raise IsoglotError("the encoder is closed")
            if self._running.ended:
                _log.warning("the process of the encoder ended; starting it again")
                self._running = _Process(self._opener, self._at_once)
                if self._closed:
                    self._running.end()
                self._running.wait_until_open(self._patience)
            return self._running


class _DiedError(Exception):
    """The process ended before it responded.

    Attributes:
        asked: whether the call had been sent by then.
    """

    asked = True


class _BusyError(_DiedError):
    """The process ended before the call could be sent."""

    asked = False


class _Process:
    """One process, from start to end.

    Args:
        opener: opens the encoder.
        at_once: number of connections.
    """

    def __init__(self, opener: Callable[[], Encoder], at_once: int) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(at_once)]
        theirs = [there for _, there in pairs]
        self._process = context.Process(target=_serve, args=(opener, theirs), name="isoglot-encoder", daemon=True)
        self._free: LifoQueue[Connection] = LifoQueue()
        self._over = False
        try:
            with _without_interrupts():
                self._process.start()
        except FileNotFoundError as error:  # raised by multiprocessing when the working directory was removed
            raise IsoglotError(
                f"the encoder's process cannot start ({error}); is the working directory gone?"
            ) from error
        for here, there in pairs:
            there.close()
            self._free.put(here)
        # Runs before multiprocessing's own exit handler, which sends SIGTERM (ignored by the process) and waits.
        self._end = Finalize(self, _kill, (self._process,), exitpriority=10)
        self._first = pairs[0][0]

    def wait_until_open(self, patience: float | None) -> None:
        """Return when the encoder is open.

        Args:
            patience: maximum seconds; no limit when None.

        Raises:
            IsoglotError: the process ended, or took too long.
            Exception: whatever the opener raised.
        """
        with self._limited(patience) as late:
            try:
                done, value = self._received(self._first)
            except BaseException as error:
                self.end()
                if not isinstance(error, _DiedError):
                    raise
                self._process.join(5)
                raise IsoglotError(
                    "the process of the encoder took too long to open the model and was stopped"
                    if late
                    else "the process of the encoder ended while opening the model "
                    f"(exit code {self._process.exitcode}; out of memory?); a script needs its own code under "
                    '`if __name__ == "__main__":`'
                ) from None
        if not done:
            self.end()
            raise value

    @property
    def ended(self) -> bool:
        """Whether the process can no longer be called."""
        return self._over or self._process.exitcode is not None

    def answer(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], patience: float) -> Any:
        """Return the function's result, computed in the process.

        Raises:
            _DiedError: the process ended.
            IsoglotError: it took too long, and was killed.
        """
        connection = self._connection()
        with self._limited(patience) as late:
            try:
                connection.send((function, args, kwargs))
                done, value = self._received(connection)
            except (_DiedError, OSError):
                if late:
                    raise IsoglotError(f"the encoder took more than {patience:g} seconds and was stopped") from None
                self._over = True  # so that threads waiting for this connection give up
                raise _DiedError from None
            finally:
                self._free.put(connection)
        if not done:
            raise value
        return value

    def _connection(self) -> Connection:
        while not self.ended:
            with suppress(Empty):
                connection = self._free.get(timeout=1)
                if not self.ended:
                    return connection
                self._free.put(connection)  # wakes the next waiting thread
        raise _BusyError

    def _received(self, connection: Connection) -> tuple[bool, Any]:
        """Return (True, the function's result), or (False, the exception that it raised)."""
        wait([connection, self._process.sentinel])
        try:
            done, value = connection.recv()
        except (EOFError, OSError):
            raise _DiedError from None
        return done, value

    @contextmanager
    def _limited(self, seconds: float | None) -> Iterator[list[bool]]:
        """Kill the process if the block takes longer; the yielded list is non-empty once that happened."""
        late: list[bool] = []

        def end() -> None:
            late.append(True)
            self.end()

        if seconds is None:
            yield late
            return
        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()

    def end(self) -> None:
        """Kill the process: it holds no state that could be lost."""
        self._over = True
        self._end()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block Ctrl-C for a process started within the block, until it has set its own signal handling."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(process: Any) -> None:
    process.kill()
    process.join(5)


def _described(encoder: Encoder) -> tuple[str, str, int | None]:
    return encoder.name, encoder.device, getattr(encoder, "length", None)


def _encoded(encoder: Encoder, texts: list[str], role: Role, what: str | None) -> Encoded:
    return encoder.encoded(texts, role, what=what)


def _late(encoder: Encoder, query: str, passages: list[str]) -> Vectors:
    return _interaction(cast(Hashable, encoder)).late(query, passages)


def _late_of(encoder: Encoder, query: str, passages: list[QuantisedTokens]) -> Vectors:
    return _interaction(cast(Hashable, encoder)).late_of(query, passages)


@lru_cache(maxsize=1)
def _interaction(encoder: Hashable) -> LateInteraction:
    """Return the late interaction of this process's encoder."""
    return LateInteraction(cast(Encoder, encoder))


def _serve(opener: Callable[[], Encoder], connections: list[Connection]) -> None:
    """Main function of the process: serve each connection from its own thread."""
    open_streams()
    # Terminals and supervisors signal the whole process group; the server first finishes the requests in progress.
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=leave_with_parent, daemon=True).start()
    first = connections[0]
    try:
        encoder = opener()
    except Exception as error:  # noqa: BLE001 - any error is passed on to the process that opens the encoder
        _send(first, False, error)
        return
    _send(first, True, None)
    threads = [threading.Thread(target=_answer, args=(encoder, connection)) for connection in connections]
    for thread in threads:
        thread.start()


def _answer(encoder: Encoder, connection: Connection) -> None:
    with suppress(EOFError, OSError):  # the other end is closed
        while True:
            asked = connection.recv_bytes()
            try:
                function, args, kwargs = pickle.loads(asked)
                value = function(encoder, *args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - also catches panics of libraries written in Rust
                _send(connection, False, error)
            else:
                _send(connection, True, value)


def _send(connection: Connection, done: bool, value: Any) -> None:
    """Send a result or an exception; if it cannot be pickled, send an error that says so."""
    try:
        message = pickle.dumps((done, value))
        if not done:
            pickle.loads(message)  # an exception may pickle but fail to unpickle
            if not isinstance(value, Exception):
                raise TypeError
    except Exception as error:  # noqa: BLE001 - the other process waits for a response
        said = f"an answer that cannot be sent ({error})" if done else f"{type(value).__name__}: {value}"
        message = pickle.dumps((False, IsoglotError(said)))
    connection.send_bytes(message)
