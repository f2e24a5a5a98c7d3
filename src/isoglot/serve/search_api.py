"""The JSON API's searches: `/search`, and `/similar` for what is like a passage."""

import time
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from isoglot.core.errors import InputError
from isoglot.languages.codes import known_code
from isoglot.search.collapsing import Collapse
from isoglot.search.filters.tokens import FilterError
from isoglot.search.lookup import NoPassageError
from isoglot.search.query_checks import Fair, Mode, check_feedback
from isoglot.search.snippets import LONGEST, SHORTEST
from isoglot.serve.answers import Results, results
from isoglot.serve.asking import MOST_FACETS, Ask
from isoglot.serve.cleaning import clean_query, plain
from isoglot.serve.finding import Finder
from isoglot.serve.listed import Listed
from isoglot.serve.problem_json import documented, problem
from isoglot.serve.rerankers import ServedRerankers
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings

_LANGS = 500  # that a request may name
_NEIGHBOURS = 5
_ID = 2000  # characters


def search_router(
    collections: list[Collection], finder: Finder, settings: ServeSettings, rerankers: ServedRerankers
) -> APIRouter:
    """The routes that search these collections; their best are scored anew where that is asked for."""
    by_name = {entry.name: entry for entry in collections}
    default = collections[0].name

    def codes() -> list[str]:
        return sorted({code for entry in collections for code in entry.languages})

    def fields() -> list[str]:
        return sorted({name for entry in collections for name in entry.fields()})

    K = Annotated[int, Query(ge=1, le=settings.results, description="How many passages at most.")]
    Offset = Annotated[int, Query(ge=0, le=settings.offset, description="Results to pass over, for the next page.")]
    Lang = Annotated[
        list[Annotated[str, Listed(codes, kind="string")]] | None,
        Query(max_length=_LANGS, description="Only this language; may be repeated."),
    ]
    Where = Annotated[
        str | None,
        Query(
            max_length=settings.query_characters,
            description="Only passages that are so: year >= 2020 AND source LIKE 'docs/%'",
            json_schema_extra={"format": "isoglot-filter"},
        ),
    ]
    Fairness = Annotated[Fair, Query(description="balanced: take the model's preference for languages out.")]
    One = Annotated[
        list[Collapse] | None,
        Query(max_length=2, description="One result of each document, of each text (by its words); may be repeated."),
    ]
    Facets = Annotated[
        list[Annotated[str, Listed(fields, kind="string")]] | None,
        Query(max_length=MOST_FACETS, description="Count this field's values among all that lang and where leave."),
    ]
    Snippet = Annotated[
        int | None,
        Query(ge=SHORTEST, le=LONGEST, description="Characters of the part with most of the query's words."),
    ]
    Neighbours = Annotated[int, Query(ge=0, le=_NEIGHBOURS, description="Passages before and after each result.")]
    Name = Annotated[Literal[tuple(by_name)], Query(description="Which index.")]  # type: ignore[valid-type]
    Rerank = Annotated[
        Annotated[str, Listed(lambda: rerankers.names, kind="string")] | None,
        Query(
            max_length=_ID,
            description="Score the 50 (or k) best anew, by what the server was started with: late goes by the tokens "
            "of the index's own model.",
        ),
    ]
    routes = APIRouter()

    async def answered(ask: Ask, index: str) -> JSONResponse:
        langs = list(dict.fromkeys(known_code(code) or code for code in ask.langs))
        there = codes()
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
        return JSONResponse(results(ask, found, collection.name, collection.model, seconds).model_dump())

    @routes.get(
        "/search",
        summary="Find passages",
        response_model=Results,
        responses=documented(400, 408, 413, 414, 422, 503, 504),
    )
    async def search(
        q: Annotated[
            str,
            Query(
                max_length=settings.query_characters,
                description="The query, in any language; one of nothing but spaces finds nothing.",
            ),
        ],
        k: K = 10,
        offset: Offset = 0,
        lang: Lang = None,
        where: Where = None,
        mode: Annotated[Mode, Query(description="By meaning, by words, or both.")] = "dense",
        fair: Fairness = "none",
        feedback: Annotated[
            bool,
            Query(
                description="Search twice: the second time for what is like the best passages too, which finds their "
                "translations. Not with mode=lexical."
            ),
        ] = False,
        rerank: Rerank = None,
        collapse: One = None,
        facets: Facets = None,
        snippet: Snippet = None,
        neighbours: Neighbours = 0,
        # mypy takes a variable for no type; to FastAPI it is one.
        index: Name = default,  # type: ignore[valid-type]
    ) -> JSONResponse:
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
        summary="Find passages of other documents that are like one",
        response_model=Results,
        responses=documented(400, 404, 408, 413, 414, 422, 503, 504),
    )
    async def similar(
        id: Annotated[str, Query(max_length=_ID, description="Of a passage, as /search gives it.")],
        k: K = 10,
        offset: Offset = 0,
        lang: Lang = None,
        where: Where = None,
        fair: Fairness = "none",
        collapse: One = None,
        facets: Facets = None,
        neighbours: Neighbours = 0,
        index: Name = default,  # type: ignore[valid-type]
    ) -> JSONResponse:
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
