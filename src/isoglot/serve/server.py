"""Run an application on a socket until a signal stops it."""

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


def allowed_hosts(host: str, others: bool = False) -> tuple[str, ...]:
    """Return a server's own host names; any (`*`) if it listens to the network and its operator names no others.

    Args:
        host: address or name to which the server is bound.
        others: whether the operator names others, which are then accepted beside these.

    >>> allowed_hosts("127.0.0.1")
    ('127.0.0.1', 'localhost', '[::1]')
    >>> allowed_hosts("0.0.0.0")
    ('*',)
    >>> allowed_hosts("10.0.0.5", others=True)
    ('127.0.0.1', 'localhost', '[::1]', '10.0.0.5')
    """
    local = ("127.0.0.1", "localhost", "[::1]")
    try:
        on_network = not ipaddress.ip_address(host).is_loopback
    except ValueError:
        on_network = host != "localhost"
    if not on_network:
        return local
    return (*local, f"[{host}]" if ":" in host else host) if others else ("*",)


def listen(host: str, port: int) -> socket.socket:
    """Bind a port and listen on it, so that a taken one is reported before anything slow happens.

    Args:
        host: an address or name of this machine.
        port: port number; 0 for any free one.

    Raises:
        InputError: the port is invalid, in use or not permitted, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"port {port}: expected 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        taken = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(f"host {host}: not an address of this machine ({error}); give 127.0.0.1") from error
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
    """Serve until SIGINT or SIGTERM; requests in progress get some seconds to finish.

    Args:
        app: the application.
        taken: the listening socket.
        path: path of the page, for the address that is printed.
        keyed: whether requests need a key.
        log: format of the log, with a line for every request; None to log problems only.
        drain: seconds between a first SIGTERM and the end, in which /readyz fails and all else is answered.
        leave: called at that SIGTERM, to make /readyz fail.

    Raises:
        KeyboardInterrupt: SIGINT was received; raised after everything was closed.
    """
    import uvicorn
    from threadpoolctl import threadpool_limits

    from isoglot.serve.connections import HEAD_BYTES, Punctual, allow_connections

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
        # `serve.proxies` decides which proxies to trust.
        proxy_headers=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )
    host, port = taken.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    progress_line(f"serving on http://{shown}:{port}{path} (Ctrl-C stops)")
    if not ipaddress.ip_address(host).is_loopback:
        who = "who has a key" if keyed else "anyone who reaches this machine"
        progress_line(f"{who} can search; connections are not encrypted: put a proxy in front for that")
    allow_connections()
    # Searches run in parallel: if each matrix product used all cores, they would wait for one another.
    with taken, threadpool_limits(1, user_api="blas"):
        draining_server(config, drain, leave).run(sockets=[taken])


def draining_server(config: Config, seconds: float, leave: Callable[[], None]) -> Server:
    """Return a server that on SIGTERM reports "not ready" for some seconds before it stops; a second signal ends it.

    Load balancers check only now and then whether a server is ready: one that closed its port at once would refuse
    the requests that they send before the next check.

    Args:
        config: uvicorn's configuration.
        seconds: time between the signal and the end.
        leave: called at the signal, to make /readyz fail from then on.
    """
    from uvicorn import Server

    class Draining(Server):
        _ends: float | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if sig == signal.SIGTERM and seconds > 0 and self._ends is None:
                self._ends = time.monotonic() + seconds
                leave()
                # In a signal handler: neither a full disk nor a half-written line may raise here.
                with suppress(OSError, RuntimeError):
                    progress_line(f"stopping in {seconds:g} s: not ready any more (another signal stops at once)")
            else:
                super().handle_exit(sig, frame)

        async def on_tick(self, counter: int) -> bool:
            if self._ends is not None and time.monotonic() >= self._ends and not self.should_exit:
                super().handle_exit(signal.SIGTERM, None)
            return await super().on_tick(counter)

    return Draining(config)
