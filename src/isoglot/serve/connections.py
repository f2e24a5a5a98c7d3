"""Limits on connections, so that clients that send nothing, send slowly or do not read cannot block the others."""

from __future__ import annotations

import asyncio
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 36\r\n\r\nThe request did not arrive in time.\n"
)
HEAD_BYTES = 128 * 1024
"""Largest head of a request. All of it is parsed at once, before any key is checked, and delays all other requests."""
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 37\r\n\r\nThe head of the request is too long.\n"
)
_NO_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 20\r\n\r\nThis is no request.\n"
)


class Punctual(H11Protocol):
    """uvicorn's HTTP/1.1 with a time limit that it lacks: for the head of a request.

    The time runs from the beginning of the head, or of the connection for its first request. uvicorn itself closes
    connections that are idle between two requests, and `Guard` limits the time for a body.

    Attributes:
        seconds: time limit of a head; also of how long a client may leave sent data unread or unacknowledged.
    """

    seconds = 10.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the first request."""
        super().connection_made(transport)
        taken = transport.get_extra_info("socket")
        if taken is not None and hasattr(socket, "TCP_USER_TIMEOUT") and taken.family != socket.AF_UNIX:
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * self.seconds))
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Process received data; more bytes of an unfinished head do not restart its timer."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._wait()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Reject an invalid request or body and close; a response in progress on this connection is abandoned."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        # Not through h11, which would frame this response as one to the previous request, such as a HEAD.
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            too_long = len(self.conn.trailing_data[0]) > HEAD_BYTES
            self.transport.write(_TOO_LONG if too_long else _NO_REQUEST)
        self.transport.close()

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.seconds, self._end)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            # h11 cannot send a response while it reads the head of a request.
            self.transport.write(_TOO_SLOW)
            self.transport.close()


def allow_connections(wanted: int = 65_536) -> None:
    """Raise this process's limit of open files to `wanted` connections if the system allows; often it is only 1024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
