"""The JSON API's searches: `/search` for a query, `/similar` for passages like a given one."""

import time
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from isoglot.core.errors import InputError
from isoglot.languages.codes import known_code
from isoglot.search.collapsing import Collapse
from isoglot.search.filters.tokens import FilterError
from isoglot.search.lookup import NoPassageError
from isoglot.search.query_checks import Fair, Mode, check_feedback, clean_query
from isoglot.serve.cleaning import plain
from isoglot.serve.finder import Finder
from isoglot.serve.json_response import json_of
from isoglot.serve.parameter_names import known_parameters
from isoglot.serve.problem_json import documented, problem
from isoglot.serve.rerankers import ServedRerankers
from isoglot.serve.search_parameters import Parameters, languages_there
from isoglot.serve.search_request import Ask
from isoglot.serve.search_response import Results, results
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings


def search_router(
    collections: list[Collection], finder: Finder, settings: ServeSettings, rerankers: ServedRerankers
) -> APIRouter:
    """Return the routes that search these collections and re-rank the top results on request."""
    by_name = {entry.name: entry for entry in collections}
    default = collections[0].name
    told = Parameters(collections, settings, rerankers)
    Name = Annotated[Literal[tuple(by_name)], told.index]  # type: ignore[valid-type]
    routes = APIRouter(dependencies=[Depends(known_parameters)])

    async def answered(ask: Ask, index: str) -> Response:
        langs = list(dict.fromkeys(known_code(code) or code for code in ask.langs))
        there = languages_there(collections)
        unknown = [code for code in langs if code not in there]
        if unknown:
            return problem(422, f"lang: there is no {plain(unknown[0])!r}; there are: {', '.join(there)}")
        collection, ask = by_name[index], replace(ask, langs=langs)
        started = time.perf_counter()
        try:
            found = await finder.ask(collection, ask)
        except FilterError as error:
            return problem(422, plain(str(error)))
        except NoPassageError as error:
            return problem(404, plain(str(error)))
        seconds = time.perf_counter() - started
        return json_of(results(ask, found, collection.name, collection.model, seconds))

    @routes.get(
        "/search",
        summary="Find passages",
        response_model=Results,
        responses=documented(400, 408, 413, 414, 422, 503, 504),
    )
    async def search(
        q: Annotated[str, told.query],
        k: Annotated[int, told.k] = 10,
        offset: Annotated[int, told.offset] = 0,
        lang: Annotated[list[Annotated[str, told.a_language]] | None, told.lang] = None,
        where: Annotated[str | None, told.where] = None,
        mode: Annotated[Mode, told.mode] = "dense",
        fair: Annotated[Fair, told.fair] = "none",
        feedback: Annotated[bool, told.feedback] = False,
        rerank: Annotated[Annotated[str, told.a_reranker] | None, told.rerank] = None,
        collapse: Annotated[list[Collapse] | None, told.collapse] = None,
        facets: Annotated[list[Annotated[str, told.a_field]] | None, told.facets] = None,
        snippet: Annotated[int | None, told.snippet] = None,
        neighbours: Annotated[int, told.neighbours] = 0,
        # mypy does not accept a variable as a type; FastAPI does.
        index: Name = default,  # type: ignore[valid-type]
    ) -> Response:
        try:
            check_feedback(feedback, mode)
            if rerank is not None:
                rerankers.check(rerank, offset, k)
        except InputError as error:
            return problem(422, plain(str(error)))
        ask = Ask(
            query=clean_query(q),
            k=k,
            langs=lang or (),
            mode=mode,
            fair=fair,
            where=where,
            offset=offset,
            collapse=tuple(dict.fromkeys(collapse or ())),
            facets=facets or (),
            neighbours=neighbours,
            snippet=snippet,
            feedback=feedback,
            rerank=rerank,
            judge=rerankers.judge(rerank),
        )
        return await answered(ask, index)

    @routes.get(
        "/similar",
        summary="Find passages of other documents that are similar to a passage",
        response_model=Results,
        responses=documented(400, 404, 408, 413, 414, 422, 503, 504),
    )
    async def similar(
        id: Annotated[str, told.id],
        k: Annotated[int, told.k] = 10,
        offset: Annotated[int, told.offset] = 0,
        lang: Annotated[list[Annotated[str, told.a_language]] | None, told.lang] = None,
        where: Annotated[str | None, told.where] = None,
        fair: Annotated[Fair, told.fair] = "none",
        collapse: Annotated[list[Collapse] | None, told.collapse] = None,
        facets: Annotated[list[Annotated[str, told.a_field]] | None, told.facets] = None,
        neighbours: Annotated[int, told.neighbours] = 0,
        index: Name = default,  # type: ignore[valid-type]
    ) -> Response:
        ask = Ask(
            like=id,
            k=k,
            langs=lang or (),
            fair=fair,
            where=where,
            offset=offset,
            collapse=tuple(dict.fromkeys(collapse or ())),
            facets=facets or (),
            neighbours=neighbours,
        )
        return await answered(ask, index)

    return routes
