"""Errors as JSON problem documents (RFC 9457), which never contain a traceback."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    title: str = Field(description="Standard phrase of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong, and what to do.")


def title(status: int) -> str:
    """Return the standard phrase for an HTTP status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a response with a problem document."""
    content = Problem(title=title(status), status=status, detail=detail).model_dump()
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for statuses that come with a problem document."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {status: {"description": title(status), "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses}
