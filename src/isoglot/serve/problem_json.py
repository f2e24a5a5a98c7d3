"""Errors as the network sees them: a problem document (RFC 9457) or a page, never a trace."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """An error as a document, after RFC 9457."""

    title: str = Field(description="What the status says.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong here, and what to do.")


def title(status: int) -> str:
    """The standard's words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Answer with a problem document."""
    content = Problem(title=title(status), status=status, detail=detail).model_dump()
    return JSONResponse(content, status, headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: these statuses come with a problem document."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {status: {"description": title(status), "content": {MEDIA_TYPE: {"schema": schema}}} for status in statuses}
