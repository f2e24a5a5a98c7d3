"""Errors of `/v1/` in OpenAI's format: an object `error` with message, type, param and code."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from isoglot.serve.problem_json import title

V1 = "/v1/"


class ErrorDetails(BaseModel):
    """What went wrong."""

    message: str = Field(description="What was wrong, and what to do.")
    type: str = Field(description="invalid_request_error, or server_error.")
    param: str | None = Field(None, description="The field at fault, if it is one field.")
    code: str | None = Field(None, description="Error code, such as model_not_found.")


class ErrorAnswer(BaseModel):
    """An error in OpenAI's format, with the fields of a problem document beside it."""

    error: ErrorDetails
    title: str = Field(description="Standard phrase of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="The same as message.")


def openai_error(
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
    *,
    param: str | None = None,
    kind: str = "application/json",
) -> JSONResponse:
    """Return an error response in OpenAI's format.

    Args:
        status: HTTP status.
        message: what was wrong, and what to do.
        headers: headers of the response.
        param: the field at fault.
        kind: media type; the document is a valid problem document, too.
    """
    fault = "server_error" if status >= 500 else "invalid_request_error"
    code = {404: "not_found", 413: "request_too_large", 503: "unavailable", 504: "timeout"}.get(status)
    if param == "model":
        code = "model_not_found"
    details = ErrorDetails(message=message, type=fault, param=param, code=code)
    answer = ErrorAnswer(error=details, title=title(status), status=status, detail=message)
    return JSONResponse(answer.model_dump(), status, headers, media_type=kind)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` for statuses that come with an OpenAI error."""
    return {status: {"description": title(status), "model": ErrorAnswer} for status in statuses}
