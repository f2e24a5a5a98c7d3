"""The values of a field in the OpenAPI document, where they are known only when the document is asked for."""

from collections.abc import Callable, Sequence
from typing import Any, Literal


class Listed:
    """Names the values of a field in the OpenAPI document when that is asked for: there may be others by then.

    Args:
        values: gives them.
        kind: the JSON type of each.
    """

    def __init__(self, values: Callable[[], Sequence[str | int]], *, kind: Literal["string", "integer"]) -> None:
        self._values, self._kind = values, kind

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        values = self._values()
        return {"type": self._kind, "enum": list(values)} if values else {"not": {}}  # an enum of nothing is no schema
