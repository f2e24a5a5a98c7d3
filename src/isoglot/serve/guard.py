"""What every request and answer passes: size limits before, security headers after."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isoglot.serve.problem_json import problem
from isoglot.serve.settings import ServeSettings

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Addresses hold queries: they are nobody else's business.
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Guard:
    """ASGI middleware: answers 413 and 414 itself, reads a body whole and within the time, adds the headers."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if len(scope["query_string"]) > self._settings.url_bytes:
            answer = problem(414, f"the address's query string may have {self._settings.url_bytes} bytes")
            await answer(scope, receive, send_guarded)
            return
        try:
            async with asyncio.timeout(self._settings.seconds):
                body = await self._read(scope, receive)
        except TimeoutError:
            await problem(408, "the request's body did not arrive in time")(scope, receive, send_guarded)
            return
        if body is None:
            answer = problem(413, f"a request's body may have {self._settings.body_bytes} bytes")
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send_guarded)
            return
        await self._app(scope, _replay(body, receive), send_guarded)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, or None when it is too large."""
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


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def replayed() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
