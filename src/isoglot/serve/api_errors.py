"""Errors in the format that a path's clients expect: OpenAI's below /v1/, a problem document elsewhere."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from isoglot.serve.openai_errors import V1, openai_error
from isoglot.serve.problem_json import problem

PROBES = ("/livez", "/readyz", "/healthz")
"""Paths requested by monitors, which may address the server by any host name."""
_API = (V1, "/search", "/similar", *PROBES, "/openapi.json", "/metrics")


def is_api(path: str) -> bool:
    """Whether a path is for programs rather than for people."""
    return path.startswith(_API)


def api_error(
    path: str, status: int, detail: str, headers: dict[str, str] | None = None, *, param: str | None = None
) -> JSONResponse:
    """Return an error response.

    Args:
        path: the requested path, within this server.
        status: HTTP status.
        detail: what was wrong, and what to do.
        headers: headers of the response.
        param: the field at fault, for OpenAI's clients.
    """
    if path.startswith(V1):
        return openai_error(status, detail, headers, param=param)
    return problem(status, detail, headers)
