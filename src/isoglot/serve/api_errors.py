"""Errors in the shape that whoever asks a path reads: OpenAI's below /v1/, a problem document elsewhere."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from isoglot.serve.openai_errors import V1, openai_error
from isoglot.serve.problem_json import problem

PROBES = ("/livez", "/readyz", "/healthz")
"""Asked by what watches the server, under whatever name or address that knows it by."""
_API = (V1, "/search", "/similar", *PROBES, "/openapi.json", "/metrics")


def is_api(path: str) -> bool:
    """Whether programs ask this path, and not people."""
    return path.startswith(_API)


def api_error(
    path: str, status: int, detail: str, headers: dict[str, str] | None = None, *, param: str | None = None
) -> JSONResponse:
    """Answer with an error.

    Args:
        path: that was asked, within this server.
        status: of HTTP.
        detail: what was wrong, and what to do.
        headers: of the answer.
        param: the field at fault, which OpenAI's clients name.
    """
    if path.startswith(V1):
        return openai_error(status, detail, headers, param=param)
    return problem(status, detail, headers)
