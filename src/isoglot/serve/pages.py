"""The page: plain HTML from the server, complete without JavaScript."""

from __future__ import annotations

import asyncio
import time
from hashlib import sha256
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from isoglot.core.errors import InputError
from isoglot.core.version import __version__
from isoglot.encoders.embedder import Vectors
from isoglot.search.hit import Hit
from isoglot.serve.addresses import home_of, route_path
from isoglot.serve.finding import Finder
from isoglot.serve.problem_json import title
from isoglot.serve.request import COUNTS, FAIRNESS, MODES, VIEWS, ListChoice, PageRequest, default_request, read_request
from isoglot.serve.result_views import ListView, languages_of, list_view, segments
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings

_TYPES = {
    "htmx.min.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""All that /static can answer, read once: no request names a file."""


class Pages:
    """The page's routes and its errors over some collections."""

    def __init__(self, collections: list[Collection], finder: Finder, settings: ServeSettings) -> None:
        self._by_name = {entry.name: entry for entry in collections}
        self._collections = collections
        self._finder, self._settings = finder, settings
        folder = files("isoglot.serve") / "static"
        self._static = {name: (folder / name).read_bytes() for name in _TYPES}
        build = sha256(b"".join(self._static.values())).hexdigest()[:12]
        self._templates = Environment(
            loader=PackageLoader("isoglot.serve"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            build=build,
            version=__version__,
            collections=collections,
            modes=MODES,
            fairness=FAIRNESS,
            views=VIEWS,
            counts=[count for count in COUNTS if count <= settings.results],
            longest=settings.query_characters,
        )

    @property
    def router(self) -> APIRouter:
        """`/`, `/static/...` and `/api`."""
        routes = APIRouter(include_in_schema=False)
        routes.get("/")(self.search)
        routes.get("/static/{name}")(self.static)
        routes.get("/api")(self.api)
        return routes

    async def search(self, request: Request) -> Response:
        """The form, and under it what the address asks for."""
        names, codes = list(self._by_name), list(languages_of(self._collections))
        try:
            asked = read_request(request.query_params, names, codes, self._settings)
        except InputError as error:
            return self.error(request, 422, str(error))
        lists: list[ListView] = []
        if asked.query:
            async with asyncio.timeout(self._settings.seconds):
                lists = [await self._found(asked, choice) for choice in asked.shown]
        return self._render(request, "page.html", asked=asked, lists=lists, problem=None)

    async def _found(self, asked: PageRequest, choice: ListChoice) -> ListView:
        vector = await self._finder.vector(self._by_name[choice.index], asked.query, choice.mode)
        return await self._finder.run(self._list, asked, choice, vector)

    def _list(self, asked: PageRequest, choice: ListChoice, vector: Vectors | None) -> ListView:
        collection = self._by_name[choice.index]
        sample = self._settings.sample

        def best(k: int) -> list[Hit]:
            return collection.search(asked.query, k, asked.langs, choice.mode, choice.fair, vector)

        started = time.perf_counter()
        sampled = self._finder.timed(best, max(asked.k, sample))
        seconds = time.perf_counter() - started
        # A balanced list is dealt out for its own length: it is not the beginning of a longer one.
        alone = choice.fair == "balanced" and asked.k < sample
        found = best(asked.k) if alone else sampled[: asked.k]
        self._finder.shown(collection, found)
        return list_view(asked, choice, collection, found, sampled[:sample], languages_of(self._collections), seconds)

    def error(self, request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
        """The page with what went wrong in the place of results."""
        asked = default_request(list(self._by_name), self._settings)
        problem = {"status": status, "title": title(status), "detail": detail}
        return self._render(request, "page.html", status, headers, asked=asked, lists=[], problem=problem)

    async def static(self, request: Request, name: str) -> Response:
        """A file of ours, from memory."""
        if name not in self._static:
            return self.error(request, 404, "There is no such page here.")
        return Response(
            self._static[name],
            media_type=_TYPES[name],
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    async def api(self, request: Request) -> Response:
        """The JSON API in words, from its OpenAPI document."""
        return self._render(request, "api.html", api=request.app.openapi(), base=str(request.base_url).rstrip("/"))

    def _render(
        self, request: Request, name: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
    ) -> Response:
        # Addresses are relative: right under whatever path a proxy shows this server.
        home = home_of(route_path(request.scope))
        languages = languages_of(self._collections)
        bars = {entry.name: segments(entry.languages, languages) for entry in self._collections}
        values |= {"home": home, "languages": languages, "bars": bars}
        text = self._templates.get_template(name).render(**values)
        return HTMLResponse(text, status, headers)
