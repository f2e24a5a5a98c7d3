"""The OpenAPI document: FastAPI's, with the errors and the API keys that apply to all routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from isoglot.serve.api_errors import PROBES
from isoglot.serve.openai_errors import V1, ErrorAnswer
from isoglot.serve.problem_json import Problem, documented, title

_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, as OpenAI's clients send it."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
    "basic": {"type": "http", "scheme": "basic", "description": "The same key as the password, with any user name."},
}
_REFUSALS = (401, 403, 429)


def openapi_document(app: FastAPI, *, keyed: bool) -> dict[str, Any]:
    """Return the document that `/openapi.json` serves.

    Args:
        app: the application, with its routes.
        keyed: whether requests need a key.
    """
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    # FastAPI documents its own format of 422 by default; ours is a problem document.
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    if keyed:
        components["securitySchemes"] = _KEYS
        for path, methods in document["paths"].items():
            if path not in PROBES:
                for operation in methods.values():
                    operation["security"] = [{name: []} for name in _KEYS]
                    operation["responses"] |= _refusals(path)
    return document


def _refusals(path: str) -> dict[str, Any]:
    """The responses to a missing or unknown key, one without the scope, and one over its rate limit."""
    if not path.startswith(V1):
        return {str(status): answer for status, answer in documented(*_REFUSALS).items()}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorAnswer.__name__}"}}}
    return {str(status): {"description": title(status), "content": content} for status in _REFUSALS}
