"""The page: server-rendered HTML that works without JavaScript, in the reader's language."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from isoglot.core.version import __version__
from isoglot.encoders.embedder import Vectors
from isoglot.search.filters.tokens import FilterError
from isoglot.serve.addresses import home_of, route_path
from isoglot.serve.balance_view import balance
from isoglot.serve.cleaning import shown
from isoglot.serve.exporting import Found, as_csv, as_json
from isoglot.serve.facet_views import counted_fields, facet_views
from isoglot.serve.finder import Finder
from isoglot.serve.locales import CODES, PageLocale, negotiated, page_locale
from isoglot.serve.page_request import (
    COUNTS,
    FAIRNESS,
    MODES,
    VIEWS,
    AddressError,
    ListChoice,
    PageRequest,
    default_request,
    read_request,
)
from isoglot.serve.problem_json import title
from isoglot.serve.rerankers import NOT_RERANKED, ServedRerankers
from isoglot.serve.result_views import ListView, around_view, languages_of, list_view, segments
from isoglot.serve.search_request import Answer, Ask
from isoglot.serve.served import Collection, ServedIndex
from isoglot.serve.settings import ServeSettings
from isoglot.serve.static_files import StaticFiles
from isoglot.serve.translatable import TranslatableError, translatable

AROUND = 3
"""Number of passages shown on each side of one, where it is shown within its document."""
NO_PAGE = translatable("There is no such page here.")
_TITLES = {
    404: translatable("Not found"),
    422: translatable("That cannot be answered"),
    500: translatable("Something went wrong"),
    503: translatable("Not available now"),
    504: translatable("It took too long"),
}


class Pages:
    """The page's routes and error pages, for some collections."""

    def __init__(
        self, collections: list[Collection], finder: Finder, settings: ServeSettings, rerankers: ServedRerankers
    ) -> None:
        self._by_name = {entry.name: entry for entry in collections}
        self._collections = collections
        self._finder, self._settings, self._rerankers = finder, settings, rerankers
        self._static = StaticFiles()
        self._templates = Environment(
            loader=PackageLoader("isoglot.serve"),
            autoescape=True,
            undefined=StrictUndefined,
            # The templates on disk may since have been replaced by another version's.
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        icon = (files("isoglot.serve") / "templates" / "icon.svg").read_text("utf-8").strip()
        self._templates.globals.update(
            build=self._static.build,
            icon=quote(icon),
            version=__version__,
            collections=collections,
            modes=MODES,
            fairness=FAIRNESS,
            views=VIEWS,
            rerankers=rerankers.names,
            not_reranked=NOT_RERANKED,
            counts=[count for count in COUNTS if count <= settings.results],
            longest=settings.query_characters,
            locales=[page_locale(code) for code in CODES],
        )

    @property
    def router(self) -> APIRouter:
        """`/`, `/passage`, `/export.csv`, `/export.json`, `/static/...` and `/api`."""
        routes = APIRouter(include_in_schema=False)
        routes.get("/")(self.search)
        routes.get("/passage")(self.passage)
        routes.get("/export.csv")(self.export_csv)
        routes.get("/export.json")(self.export_json)
        routes.get("/static/{name}")(self.static)
        routes.get("/api")(self.api)
        return routes

    async def search(self, request: Request) -> Response:
        """Show the form, and under it the results that the address asks for."""
        try:
            asked = self._asked(request)
        except AddressError as error:
            return self.error(request, 422, error)
        lists: list[ListView] = []
        try:
            lists = await self._lists(request, asked)
        except FilterError as error:
            return self.error(request, 422, str(error), asked=asked)
        furthest = asked.furthest(self._settings.offset)
        full = any(len(each.hits) == asked.k for each in lists) and asked.offset + asked.k <= furthest
        return self._render(request, "page.html", asked=asked, lists=lists, full=full, problem=None)

    async def _lists(self, request: Request, asked: PageRequest) -> list[ListView]:
        lists: list[ListView] = []
        if asked.query:
            locale = _locale(request)
            until, opened = self._finder.deadline(), [self._by_name[choice.index].opened for choice in asked.shown]
            vectors = await asyncio.gather(
                *(self._finder.vector(self._by_name[choice.index], asked.query, choice.mode) for choice in asked.shown)
            )
            async with asyncio.timeout_at(until):
                for choice, vector, of in zip(asked.shown, vectors, opened, strict=True):
                    lists.append(await self._finder.run(self._list, asked, choice, locale, vector, of))
        return lists

    async def passage(self, request: Request) -> Response:
        """Show a passage within its document, with a link back to the results."""
        try:
            asked = self._asked(request)
        except AddressError as error:
            return self.error(request, 422, error)
        params, locale = request.query_params, _locale(request)
        collection = self._by_name.get(params.get("of", ""), self._collections[0])
        kept = {name: params[name] for name in ("of", "document", "at") if name in params}
        document = await self._finder.run(collection.document, params.get("document", "")[:2000])
        place = next((n for n, each in enumerate(document) if each.id == params.get("at")), None)
        if place is None:
            return self.error(request, 404, NO_PAGE, asked=asked)
        around = document[max(0, place - AROUND) : place + AROUND + 1]
        languages = languages_of(self._collections, locale)
        views = [around_view(each, document[place], asked.query, languages) for each in around]
        here = document[place]
        title, name = shown(here.title), shown(here.document)
        # `kept` makes the links to this page in other languages lead to the same passage.
        told: dict[str, Any] = {"passages": views, "title": title, "document": name, "kept": kept}
        return self._render(request, "passage.html", asked=asked, **told)

    def _asked(self, request: Request) -> PageRequest:
        codes = list(languages_of(self._collections))
        names = list(self._by_name), codes, self._rerankers.names
        return read_request(request.query_params, *names, self._settings)

    def _ask(self, asked: PageRequest, choice: ListChoice) -> Ask:
        return Ask(
            query=asked.query,
            k=asked.k,
            langs=asked.langs,
            mode=choice.mode,
            fair=choice.fair,
            where=asked.where or None,
            offset=asked.offset,
            feedback=choice.searched_twice,
            rerank=choice.reranker,
            judge=self._rerankers.judge(choice.reranker),
        )

    def _list(
        self, asked: PageRequest, choice: ListChoice, locale: PageLocale, vector: Vectors | None, of: ServedIndex
    ) -> ListView:
        def listed(now: ServedIndex) -> ListView:
            return self._list_of(now, asked, choice, locale, vector if now is of else None)

        # The whole list comes from one version of the index, even if it is replaced meanwhile.
        return self._by_name[choice.index].answered(listed)

    def _list_of(
        self,
        collection: ServedIndex,
        asked: PageRequest,
        choice: ListChoice,
        locale: PageLocale,
        vector: Vectors | None,
    ) -> ListView:
        sample, ask = self._settings.sample, self._ask(asked, choice)

        def best(**changes: Any) -> Answer:
            return collection.ask(replace(ask, **changes), vector)

        started = time.perf_counter()
        # Counts depend on languages and filter only, which both lists share: they are shown beside the first.
        counted = counted_fields(collection.fields()) if choice is asked.lists[0] else ()
        answer = self._finder.timed(best, k=max(asked.k, sample), offset=0, facets=counted)
        sampled = answer.hits
        seconds = time.perf_counter() - started
        # A balanced list depends on its length: its results are not the first of a longer one.
        balanced = choice.fair == "balanced"
        whole = not asked.offset and (not balanced or asked.k >= sample)
        found = sampled[: asked.k] if whole else best().hits
        first = balanced and found and not asked.offset
        self._finder.shown(collection.name, found)
        return list_view(
            asked,
            choice,
            collection,
            found,
            sampled[:sample],
            seconds,
            languages=languages_of(self._collections, locale),
            locale=locale,
            balance=balance(asked.query, found, best(fair="none").hits) if first else None,
            facets=facet_views(answer.facets, asked.where),
        )

    async def export_csv(self, request: Request) -> Response:
        """Return the results that the page shows at the same address, as CSV."""
        return await self._export(request, "csv")

    async def export_json(self, request: Request) -> Response:
        """Return the same results as JSON, with all the fields of each."""
        return await self._export(request, "json")

    async def _export(self, request: Request, kind: str) -> Response:
        try:
            asked = self._asked(request)
        except AddressError as error:
            return self.error(request, 422, error)
        found = []
        try:
            for choice in asked.shown:
                answer = await self._finder.ask(self._by_name[choice.index], self._ask(asked, choice))
                found.append(Found(asked, choice, answer.hits))
        except FilterError as error:
            return self.error(request, 422, str(error), asked=asked)
        text, media = (as_csv(found), "text/csv") if kind == "csv" else (as_json(found), "application/json")
        headers = {"Content-Disposition": f'attachment; filename="results.{kind}"'}
        return Response(text, media_type=f"{media}; charset=utf-8", headers=headers)

    def error(
        self,
        request: Request,
        status: int,
        detail: str | TranslatableError,
        headers: dict[str, str] | None = None,
        asked: PageRequest | None = None,
    ) -> Response:
        """Show the page with an error message in place of the results."""
        locale = _locale(request)
        said, values = (detail.said, detail.values) if isinstance(detail, TranslatableError) else (detail, {})
        asked = asked or default_request(list(self._by_name), self._settings, _explicit(request))
        problem = {
            "status": status,
            "title": locale.text(_TITLES[status]) if status in _TITLES else title(status),
            "detail": locale.text(said, **values),
            "english": not locale.knows(said),
        }
        return self._render(request, "page.html", status, headers, asked=asked, lists=[], full=False, problem=problem)

    async def static(self, request: Request, name: str) -> Response:
        """Return one of the page's static files, from memory."""
        return self._static.answer(request, name) or self.error(request, 404, NO_PAGE)

    async def api(self, request: Request) -> Response:
        """Show the documentation of the JSON API, rendered from its OpenAPI document."""
        asked = default_request(list(self._by_name), self._settings, _explicit(request))
        base = str(request.base_url).rstrip("/")
        return self._render(request, "api.html", asked=asked, api=request.app.openapi(), base=base)

    def _render(
        self, request: Request, name: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
    ) -> Response:
        # Addresses are relative, so they are right under any path that a proxy exposes this server at.
        home = home_of(route_path(request.scope))
        locale = _locale(request)
        languages = languages_of(self._collections, locale)
        bars = {entry.name: segments(entry.languages, languages) for entry in self._collections}
        here = home + {"api.html": "api", "passage.html": "passage"}.get(name, "")
        values = {"kept": {}, **values, "home": home, "here": here, "languages": languages, "bars": bars}
        values |= {"locale": locale, "_": locale.text}
        text = self._templates.get_template(name).render(counted=locale.counted, **values)
        tongue = {"Content-Language": locale.code, "Vary": "Accept-Language"}
        return HTMLResponse(text, status, tongue | (headers or {}))


def _explicit(request: Request) -> str:
    """The page's language if the address names an available one, else empty."""
    code = request.query_params.get("ui", "")
    return code if code in CODES else ""


def _locale(request: Request) -> PageLocale:
    return page_locale(_explicit(request) or negotiated(request.headers.get("accept-language", "")))
