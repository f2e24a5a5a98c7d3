"""JSON responses of the API."""

from __future__ import annotations

from fastapi.responses import Response
from pydantic import BaseModel


def json_of(content: BaseModel, *, exclude_none: bool = False) -> Response:
    """Return a pydantic model as a response, written by pydantic: six times as fast as `json` for vectors.

    Args:
        content: the model, without lone surrogates, NaN and infinity.
        exclude_none: whether to leave out fields that are None.
    """
    return Response(content.model_dump_json(exclude_none=exclude_none), media_type="application/json")
