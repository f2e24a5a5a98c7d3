"""Runs an application on a socket until it is told to stop."""

from __future__ import annotations

import ipaddress
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from isoglot.core.errors import InputError
from isoglot.core.progress import progress_line
from isoglot.serve.logs import LogFormat, start_logging

if TYPE_CHECKING:
    from uvicorn import Config, Server

_SECONDS_TO_FINISH = 3


def allowed_hosts(host: str) -> tuple[str, ...]:
    """Names by which a server bound to `host` may be called; any, where it listens to the network.

    >>> allowed_hosts("127.0.0.1")
    ('127.0.0.1', 'localhost', '[::1]')
    >>> allowed_hosts("0.0.0.0")
    ('*',)
    """
    local = ("127.0.0.1", "localhost", "[::1]")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return local if host == "localhost" else ("*",)
    return local if address.is_loopback else ("*",)


def listen(host: str, port: int) -> socket.socket:
    """Take a port, before anything slow happens.

    Args:
        host: an address or name of this machine.
        port: 0 takes any that is free.

    Raises:
        InputError: the port is taken or not ours to take, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"port {port}: expected 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(f"host {host}: no address of this machine ({error}); give 127.0.0.1") from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(1024)
    except OSError as error:
        taken.close()
        raise InputError(
            f"port {port}: cannot listen there ({error.strerror}); another server may be running on {host}: "
            "give another `port`"
        ) from error
    return taken


def run(
    app: ASGIApp,
    taken: socket.socket,
    *,
    path: str = "",
    keyed: bool = False,
    log: LogFormat | None = None,
    drain: float = 0.0,
    leave: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM; requests under way get some seconds to finish.

    Args:
        app: to serve.
        taken: where it listens.
        path: where on it, as it is shown.
        keyed: whether requests must show a key.
        log: a line for every request, in this form; only what went wrong when None.
        drain: seconds between a first SIGTERM and the end, in which /readyz says no and all else is answered.
        leave: called at that SIGTERM, to make /readyz say no.

    Raises:
        KeyboardInterrupt: it was SIGINT, after everything was closed.
    """
    import uvicorn
    from threadpoolctl import threadpool_limits

    from isoglot.serve.connections import Punctual, allow_connections

    if log is not None:
        start_logging(log)
    config = uvicorn.Config(
        app,
        http=Punctual,
        ws="none",
        log_config=None if log is not None else uvicorn.config.LOGGING_CONFIG,
        log_level="warning",
        access_log=False,
        server_header=False,
        # Ours to believe or not, by address: see `proxies`.
        proxy_headers=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        # Above the longest address allowed, so that a longer one is answered with a 414 of ours.
        h11_max_incomplete_event_size=4 * 1024 * 1024,
    )
    host, port = taken.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    progress_line(f"serving on http://{shown}:{port}{path} (Ctrl-C stops)")
    if not ipaddress.ip_address(host).is_loopback:
        who = "who has a key" if keyed else "anyone who reaches this machine"
        progress_line(f"{who} can search; nothing is encrypted here: a proxy in front does that")
    allow_connections()
    # Several searches run at a time: a product of each on all cores would have them wait for one another.
    with taken, threadpool_limits(1, user_api="blas"):
        draining_server(config, drain, leave).run(sockets=[taken])


def draining_server(config: Config, seconds: float, leave: Callable[[], None]) -> Server:
    """A server that on SIGTERM says for some seconds that it leaves, before it does; a second signal ends it at once.

    Balancers ask a server now and then whether it is ready: one that closed its port at once would refuse what they
    send until they ask again.

    Args:
        config: of uvicorn.
        seconds: between the signal and the end.
        leave: called at the signal; /readyz says no from then on.
    """
    from uvicorn import Server

    class Draining(Server):
        _ends: float | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if sig == signal.SIGTERM and seconds > 0 and self._ends is None:
                self._ends = time.monotonic() + seconds
                leave()
                # Within a signal handler: neither a full disk nor a line half written may stop it.
                with suppress(OSError, RuntimeError):
                    progress_line(f"leaving in {seconds:g} s: not ready any more (another signal stops at once)")
            else:
                super().handle_exit(sig, frame)

        async def on_tick(self, counter: int) -> bool:
            if self._ends is not None and time.monotonic() >= self._ends and not self.should_exit:
                super().handle_exit(signal.SIGTERM, None)
            return await super().on_tick(counter)

    return Draining(config)
