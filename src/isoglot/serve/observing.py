"""Observability: every request gets an id, is timed, logged and counted."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isoglot.search.query_checks import clean_query
from isoglot.serve.addresses import route_path
from isoglot.serve.api_errors import api_error
from isoglot.serve.logs import request_id
from isoglot.serve.metrics import Metrics

KEY = "isoglot.key"
"""Name in the ASGI scope of the name of the request's API key."""
REQUEST = "isoglot.request"
"""Name in the ASGI scope of the request's id, for responses made outside this middleware."""
ID_HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._\-]{1,64}")
_OF_MANY = ("/static", "/v1/models")
_log = logging.getLogger("isoglot.access")


class Observed:
    """ASGI middleware, outside the others so that it sees the requests that they reject.

    Args:
        app: the next application.
        metrics: receives the counts.
        routes: paths that are counted separately; all others are counted together.
        queries: whether the log contains the queries.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: Collection[str], queries: bool = False) -> None:
        self._app, self._metrics, self._routes, self._queries = app, metrics, frozenset(routes), queries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and record its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope[REQUEST] = name = given if _ID.fullmatch(given) else uuid.uuid4().hex
        method = str(scope["method"])
        begun, status = False, 500  # what the outermost layer responds with if an exception reaches it

        async def send_observed(message: Message) -> None:
            nonlocal begun, status
            if message["type"] == "http.response.start":
                begun = True
                status = message["status"]
                MutableHeaders(scope=message)[ID_HEADER] = name
            await send(message)

        started = time.perf_counter()
        token = request_id.set(name)
        try:
            await self._app(scope, receive, send_observed)
        except asyncio.CancelledError:
            # Only a stopping server cancels requests: those that are still unanswered.
            if not begun:
                headers = {"Connection": "close", "Retry-After": "10"}
                stopping = api_error(route_path(scope), 503, "the server is stopping", headers)
                await stopping(scope, receive, send_observed)
        finally:
            seconds = time.perf_counter() - started
            path = self._route(route_path(scope))
            self._metrics.request(path, method if method in ("GET", "HEAD", "POST") else "other", status, seconds)
            fields = {"method": method[:20], "path": path, "status": status, "seconds": round(seconds, 4)}
            if KEY in scope:
                fields["key"] = scope[KEY]
            if self._queries:
                asked = parse_qs(scope["query_string"].decode("ascii", "replace"), max_num_fields=None)
                fields["query"] = clean_query(asked.get("q", [""])[0])[:2000]
            _log.info("request", extra={"fields": fields})
        # Not in `finally`: an exception that propagates is logged by the server in this task, with the request's id.
        request_id.reset(token)

    def _route(self, path: str) -> str:
        if path in self._routes:
            return path
        return next((route for route in _OF_MANY if path.startswith(f"{route}/")), "other")
