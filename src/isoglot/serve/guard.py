"""Checks of every request's host name and size, and security headers for every response."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isoglot.serve.addresses import route_path
from isoglot.serve.api_errors import PROBES, api_error
from isoglot.serve.settings import ServeSettings

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Addresses contain queries, which other sites should not see.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOT_KEPT = "no-store"  # for responses without their own Cache-Control


class Guard:
    """ASGI middleware that rejects unknown host names and large requests, answers HEAD as GET, and adds headers."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        head = scope["method"] == "HEAD"
        if head:
            scope["method"] = "GET"

        async def send_guarded(message: Message) -> None:
            if head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", NOT_KEPT)
            await send(message)

        path = route_path(scope)
        host = Headers(scope=scope).get("host", "")
        if path not in PROBES and not is_allowed(host, self._settings.hosts):
            remedy = "its operator can allow a name with `isoglot serve --allow-host`"
            detail = f"this server has no host name {host[:100]!r}; {remedy}"
            await api_error(path, 400, detail)(scope, receive, send_guarded)
            return
        if len(scope["query_string"]) > self._settings.url_bytes:
            answer = api_error(path, 414, f"the address's query string is over {self._settings.url_bytes} bytes")
            await answer(scope, receive, send_guarded)
            return
        try:
            async with asyncio.timeout(self._settings.seconds):
                body = await self._read(scope, receive)
        except TimeoutError:
            await api_error(path, 408, "the request's body did not arrive in time")(scope, receive, send_guarded)
            return
        if body is None:
            answer = api_error(path, 413, f"the request's body is over {self._settings.body_bytes} bytes")
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send_guarded)
            return
        await self._app(scope, _replay(body, receive), send_guarded)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the whole body, or None if it is too large."""
        most = self._settings.body_bytes
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:20]) > most:
                return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return bytes(body)
            body += message.get("body", b"")
            if len(body) > most:
                return None
            if not message.get("more_body"):
                return bytes(body)


def is_allowed(host: str, names: tuple[str, ...]) -> bool:
    """Whether a Host header matches one of the names; `*` matches any, `*.example.org` any subdomain.

    >>> is_allowed("localhost:8000", ("localhost",)), is_allowed("a.example.org", ("*.example.org",))
    (True, True)
    """
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    return any(
        known == "*" or name == known.lower() or (known.startswith("*.") and name.endswith(known[1:].lower()))
        for known in names
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
