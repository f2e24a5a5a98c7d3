"""The JSON API: `/search`, and the probes `/livez`, `/readyz` and `/healthz`."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from isoglot.core.version import __version__
from isoglot.languages.codes import known_code
from isoglot.search.hit import Hit
from isoglot.search.query_checks import Fair, Mode
from isoglot.serve.access import STRANGER
from isoglot.serve.cleaning import clean_query, plain
from isoglot.serve.finding import Finder
from isoglot.serve.problem_json import documented, problem
from isoglot.serve.readiness import Readiness
from isoglot.serve.served import Collection
from isoglot.serve.settings import ServeSettings

_LANGS = 500  # that a request may name


class Result(BaseModel):
    """One passage."""

    rank: int = Field(description="From 1.")
    id: str
    document: str
    lang: str = Field(description="Language code; und where it is not known.")
    title: str
    text: str
    score: float = Field(description="What the ranking sorts by; comparable within one answer only.")
    parts: dict[str, float | None] = Field(description="What the score was made of.")
    source: str
    metadata: dict[str, Any]


class Results(BaseModel):
    """An answer, with the settings it was found under."""

    query: str = Field(description="As searched: without control characters.")
    index: str
    model: str
    mode: Mode
    fair: Fair
    langs: list[str] = Field(description="Languages searched; empty for all.")
    seconds: float
    hits: list[Result]


class Served(BaseModel):
    """One index."""

    name: str
    model: str
    passages: int
    languages: dict[str, int] = Field(description="Passages in each language.")


class Alive(BaseModel):
    """The server is up."""

    status: Literal["ok"] = "ok"
    version: str


class Health(BaseModel):
    """The server is up and its indexes answer."""

    status: Literal["ok"] = "ok"
    version: str
    indexes: list[Served] = Field(description="Empty where the server has keys and none was shown.")


class _Listed:
    """Names the values of a field in the OpenAPI document when that is asked for: there may be others by then."""

    def __init__(self, values: Callable[[], list[str]]) -> None:
        self._values = values

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "string", "enum": self._values()}


def router(collections: list[Collection], finder: Finder, readiness: Readiness, settings: ServeSettings) -> APIRouter:
    """The routes over these collections."""
    by_name = {entry.name: entry for entry in collections}
    default = collections[0].name

    def known() -> list[str]:
        return sorted({code for entry in collections for code in entry.languages})

    Lang = Annotated[str, _Listed(known)]
    Name = Literal[tuple(by_name)]  # type: ignore[valid-type]
    routes = APIRouter()

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
        k: Annotated[int, Query(ge=1, le=settings.results, description="How many passages at most.")] = 10,
        lang: Annotated[
            list[Lang] | None, Query(max_length=_LANGS, description="Only this language; may be repeated.")
        ] = None,
        mode: Annotated[Mode, Query(description="By meaning, by words, or both.")] = "dense",
        fair: Annotated[Fair, Query(description="balanced: take the model's preference for languages out.")] = "none",
        # mypy takes a variable for no type; to FastAPI it is one.
        index: Annotated[Name, Query(description="Which index.")] = default,  # type: ignore[valid-type]
    ) -> JSONResponse:
        langs = list(dict.fromkeys(known_code(code) or code for code in lang or []))
        codes = known()
        unknown = [code for code in langs if code not in codes]
        if unknown:
            return problem(422, f"lang: there is no {plain(unknown[0])!r}; there are: {', '.join(codes)}")
        collection = by_name[index]
        query = clean_query(q)
        started = time.perf_counter()
        hits = await finder.search(collection, query, k, langs, mode, fair)
        answer = Results(
            query=query,
            index=collection.name,
            model=collection.model,
            mode=mode,
            fair=fair,
            langs=langs,
            seconds=time.perf_counter() - started,
            hits=[_result(rank, hit) for rank, hit in enumerate(hits, 1)],
        )
        return JSONResponse(answer.model_dump())

    @routes.get("/livez", summary="Whether the server is up", response_model=Alive, responses=documented(408, 413, 414))
    async def alive() -> JSONResponse:
        return JSONResponse(Alive(version=__version__).model_dump())

    ready = documented(408, 413, 414, 503)

    @routes.get("/healthz", summary="The same as /readyz", response_model=Health, responses=ready)
    @routes.get("/readyz", summary="Whether the indexes answer", response_model=Health, responses=ready)
    async def health(request: Request) -> JSONResponse:
        await readiness.check()
        seen = [] if request.scope.get(STRANGER) else collections
        served = [
            Served(
                name=entry.name,
                model=entry.model,
                passages=entry.passages,
                languages=dict(entry.languages),
            )
            for entry in seen
        ]
        return JSONResponse(Health(version=__version__, indexes=served).model_dump())

    return routes


def _result(rank: int, hit: Hit) -> Result:
    return Result(
        rank=rank,
        id=plain(hit.id),
        document=plain(hit.document),
        lang=plain(hit.lang),
        title=plain(hit.title),
        text=plain(hit.text),
        score=plain(float(hit.score)) or 0.0,
        parts={plain(name): plain(float(value)) for name, value in hit.parts.items()},
        source=plain(hit.source),
        metadata=plain(hit.metadata),
    )
