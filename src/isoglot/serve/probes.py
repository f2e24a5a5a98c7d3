"""The probes `/livez`, `/readyz` and `/healthz`."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from isoglot.core.version import __version__
from isoglot.serve.access import STRANGER
from isoglot.serve.problem_json import documented
from isoglot.serve.readiness import Readiness
from isoglot.serve.served import Collection


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
    indexes: list[Served] = Field(description="Empty if the server has keys and the request has no valid one.")


def probes(collections: list[Collection], readiness: Readiness) -> APIRouter:
    """Return the routes that report whether the server is up and whether these collections answer."""
    routes = APIRouter()

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
