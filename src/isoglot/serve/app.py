"""The ASGI application: the JSON API, the page, their limits and their errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from isoglot.core.arguments import check_kind
from isoglot.core.version import __version__
from isoglot.encoders.embedder import Embedder
from isoglot.encoders.judges import Judge
from isoglot.search.searcher import Searcher
from isoglot.serve import embeddings, rerank
from isoglot.serve.access import Access, checked_origins
from isoglot.serve.addresses import route_path
from isoglot.serve.api_errors import api_error, is_api
from isoglot.serve.balance_view import warm
from isoglot.serve.finder import Finder
from isoglot.serve.guard import HEADERS, NOT_KEPT, Guard
from isoglot.serve.invalid_requests import in_words
from isoglot.serve.keys import KeyRing
from isoglot.serve.metrics import CONTENT_TYPE, Metrics
from isoglot.serve.observing import ID_HEADER, REQUEST, Observed
from isoglot.serve.openai_errors import openai_error
from isoglot.serve.openapi_document import openapi_document
from isoglot.serve.pages import NO_PAGE, Pages
from isoglot.serve.probes import probes
from isoglot.serve.problem_json import MEDIA_TYPE
from isoglot.serve.proxies import Placed
from isoglot.serve.readiness import Readiness
from isoglot.serve.refreshing import follow
from isoglot.serve.rerankers import ServedRerankers
from isoglot.serve.search_api import search_router
from isoglot.serve.served import UnavailableError, open_collections
from isoglot.serve.settings import ServeSettings
from isoglot.serve.translatable import TranslatableError, translatable
from isoglot.serve.workers import BusyError, Workers


def create_app(
    searchers: Mapping[str, Searcher],
    settings: ServeSettings | None = None,
    *,
    embed: Mapping[str, Embedder] | None = None,
    judges: Mapping[str, Judge] | None = None,
) -> FastAPI:
    """Return the server's application, for any ASGI server.

    Args:
        searchers: open indexes, by the name used in addresses and on the page; the first is the default, and the page
            shows the first two side by side. The caller owns them: closing the application does not close them.
        settings: limits.
        embed: the models behind `/v1/embeddings`, by the same names; without any, the route does not exist.
        judges: models that score (query, passage) pairs, by name: for `/v1/rerank`, where the models of `embed` score
            by cosine, and for re-ranking the top results of searches that ask for it.

    Raises:
        UnavailableError: an index does not answer.
        InputError: there is no searcher, `searchers` is no mapping of names to searchers, the keys file cannot be
            read, or an origin is invalid.
    """
    if settings is not None:
        check_kind("settings", settings, ServeSettings, "a ServeSettings of isoglot.serve")
    limits = settings or ServeSettings()
    collections = open_collections(searchers, embed)
    workers = Workers(limits.threads, limits.waiting, limits.seconds)
    readiness = Readiness(collections, limits.seconds)
    metrics = Metrics(collections, workers)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        following = None
        if limits.refresh:
            following = asyncio.create_task(follow(collections, limits.refresh, lambda: _forget_openapi(app)))
        await asyncio.to_thread(warm)
        yield
        if following is not None:
            following.cancel()
        finder.close()
        workers.close()
        readiness.close()

    app = FastAPI(
        title="isoglot",
        version=__version__,
        summary="Search collections in many languages.",
        # FastAPI's documentation pages load scripts from other sites; ours is at /api.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    finder = Finder(collections, workers, metrics, limits)
    rerankers = ServedRerankers(judges or {}, late=limits.late)
    pages = Pages(collections, finder, limits, rerankers)
    # Not nested in one another: the paths counted separately are read from these routers below.
    searches = search_router(collections, finder, limits, rerankers)
    routers = [searches, probes(collections, readiness), pages.router]
    if any(entry.embed for entry in collections):
        routers.append(embeddings.router(collections, workers, limits))
    if judges or any(entry.embed for entry in collections):
        routers.append(rerank.router(collections, judges or {}, workers, limits))
    for router in routers:
        app.include_router(router)

    @app.get("/metrics", include_in_schema=False)
    async def tell_metrics() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    app.state.leave = readiness.leave
    app.openapi = lambda: _openapi(app, keyed=limits.keys is not None)  # type: ignore[method-assign]
    _handle_errors(app, pages)
    if limits.keys is not None:
        app.add_middleware(Access, keys=KeyRing(limits.keys))
    if limits.origins:
        # Outside the check of keys: a browser's preflight request carries none.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=checked_origins(limits.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )
    app.add_middleware(Guard, settings=limits)
    paths = {path for each in [app.router, *routers] for path in (getattr(route, "path", "{") for route in each.routes)}
    counted = {path for path in paths if path and "{" not in path}
    app.add_middleware(Observed, metrics=metrics, routes=counted, queries=limits.log_queries)
    app.add_middleware(Placed, root_path=limits.root_path.rstrip("/"), trusted=limits.proxies)
    return app


def _forget_openapi(app: FastAPI) -> None:
    """Drop the cached OpenAPI document: it lists languages, which a new version of an index may change."""
    app.openapi_schema = None


def _openapi(app: FastAPI, *, keyed: bool) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = openapi_document(app, keyed=keyed)
    return app.openapi_schema


def _handle_errors(app: FastAPI, pages: Pages) -> None:
    def answer(
        request: Request,
        status: int,
        detail: str | TranslatableError,
        headers: dict[str, str] | None = None,
        param: str | None = None,
    ) -> Response:
        path = route_path(request.scope)
        if is_api(path):
            return api_error(path, status, str(detail), headers, param=param)
        if status in (404, 405) and _is_program(request):
            # A client with a wrong address, such as a base URL without /v1, shows its user this message.
            said = f"there is nothing at {path[:100]!r}; the API is at /v1/ and /search"
            return openai_error(status, said, headers, kind=MEDIA_TYPE)
        return pages.error(request, status, detail, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        message, field = in_words(error.errors())
        return answer(request, 422, message, param=field)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = NO_PAGE if error.status_code == 404 else str(error.detail)
        if error.status_code == 400:  # Starlette raises it for unreadable bodies only
            detail = "the body cannot be read as JSON; expected a JSON object in UTF-8, not compressed"
        return answer(request, error.status_code, detail, dict(error.headers or {}))

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> Response:
        return answer(
            request, 503, translatable("Too many searches at once; try again in a moment."), {"Retry-After": "1"}
        )

    @app.exception_handler(TimeoutError)
    async def slow(request: Request, error: TimeoutError) -> Response:
        said = translatable("The search took too long; try a shorter query, or again in a moment.")
        return answer(request, 504, said)

    @app.exception_handler(UnavailableError)
    async def unavailable(request: Request, error: UnavailableError) -> Response:
        return answer(request, 503, error, {"Retry-After": "10"})

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # The server logs the traceback. The middleware that adds headers to all other responses does not see this one.
        headers = {**HEADERS, "Cache-Control": NOT_KEPT, ID_HEADER: str(request.scope.get(REQUEST, ""))}
        return answer(request, 500, translatable("Something went wrong in the server; its messages say more."), headers)


def _is_program(request: Request) -> bool:
    """Whether the client is a program, which would not show an HTML page."""
    wanted = request.headers.get("accept", "")
    return "html" not in wanted and (request.method == "POST" or "json" in wanted)
