"""Authorization: every request but a probe needs a key with the right scope and within its rate limit."""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from isoglot.core.errors import InputError
from isoglot.serve.addresses import route_path
from isoglot.serve.api_errors import PROBES, api_error, is_api
from isoglot.serve.keys import Key, KeyRing
from isoglot.serve.observing import KEY
from isoglot.serve.openai_errors import V1

STRANGER = "isoglot.stranger"
"""Name in the ASGI scope of a probe: True if it has no valid key, so that it learns whether, not what, is served."""
_SCOPES = {
    "/v1/embeddings": "embed",
    "/v1/models": "embed",
    "/metrics": "admin",
    **dict.fromkeys(("/search", "/similar", "/", "/passage", "/export.csv", "/export.json"), "search"),
}


class Access:
    """ASGI middleware that requires a key, as `Authorization: Bearer`, `X-API-Key` or the password of Basic.

    Basic is there for browsers, which ask people for it by themselves. Rate limits are counted in this process: two
    servers count separately.

    Args:
        app: the next application.
        keys: the valid keys.
        clock: time in seconds, for the rate limits.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._keys, self._clock = app, keys, clock
        self._left: dict[str, tuple[int, float, float]] = {}  # by hash: limit, requests left, time of this count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] == "http":
            refused = self._refusal(scope)
            if refused is not None:
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        path = route_path(scope)
        shown = _shown(Headers(scope=scope))
        key = self._keys.find(shown) if shown else None
        if path in PROBES:
            scope[STRANGER] = key is None
            return None
        if key is None:
            asked = "Bearer" if is_api(path) else 'Basic realm="isoglot", charset="UTF-8"'
            said = "this key is not known" if shown else "this server requires a key"
            detail = f"{said}: send one as Authorization: Bearer KEY, or as the password of Basic authentication"
            return _answer(path, 401, detail, {"WWW-Authenticate": asked})
        scope[KEY] = key.name
        wanted = _scope_of(path)
        if wanted is not None and wanted not in key.scopes:
            detail = f"this key is for {', '.join(key.scopes)}, not for {wanted}; ask for another key"
            return _answer(path, 403, detail, {})
        wait = self._wait(key)
        if wait:
            detail = f"this key is limited to {key.per_minute} requests a minute; try again in {wait} s"
            return _answer(path, 429, detail, {"Retry-After": str(wait)})
        return None

    def _wait(self, key: Key) -> int:
        """Count a request in the key's token bucket; return 0, or in how many whole seconds the next one is allowed."""
        if key.per_minute is None:
            return 0
        most, now = key.per_minute, self._clock()
        limit, left, since = self._left.get(key.sha256, (most, float(most), now))
        left = min(most, left + (now - since) * most / 60) if limit == most else float(most)
        self._left[key.sha256] = (most, left - 1 if left >= 1 else left, now)
        return 0 if left >= 1 else math.ceil(round((1 - left) * 60 / most, 6))


def _scope_of(path: str) -> str | None:
    """The scope that a path requires; None if any key will do."""
    if path.startswith("/v1/models/"):
        return "embed"
    return _SCOPES.get(path, "search" if path.startswith(V1) else None)


def _shown(headers: Headers) -> str:
    """The key that a request carries; empty if none."""
    if "x-api-key" in headers:
        return headers["x-api-key"].strip()
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _answer(path: str, status: int, detail: str, headers: dict[str, str]) -> Response:
    if is_api(path):
        return api_error(path, status, detail, headers)
    # Not the page's own error: that one names the indexes and their languages.
    return PlainTextResponse(f"{detail}\n", status, headers)


def checked_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins whose pages may read responses, after checking them.

    Raises:
        InputError: an origin is not just scheme, host and port; `*` is not allowed.
    """
    for origin in origins:
        try:
            parts = urlsplit(origin)
            right = parts.scheme in ("http", "https") and origin == f"{parts.scheme}://{parts.netloc}"
            right = right and bool(parts.hostname) and "@" not in origin and "*" not in origin and (parts.port or 1) > 0
        except ValueError:
            right = False
        if not right:
            raise InputError(f"origin {origin!r}: expected only scheme, host and port, such as https://www.example.org")
    return origins
