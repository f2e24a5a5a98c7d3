"""Allowed values of a field in the OpenAPI document that are known only when the document is built."""

from collections.abc import Callable, Sequence
from typing import Any, Literal


class Listed:
    """Annotation that lists a field's allowed values in the OpenAPI document as they are when it is built.

    Args:
        values: returns the values.
        kind: their JSON type.
    """

    def __init__(self, values: Callable[[], Sequence[str | int]], *, kind: Literal["string", "integer"]) -> None:
        self._values, self._kind = values, kind

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        values = self._values()
        return {"type": self._kind, "enum": list(values)} if values else {"not": {}}  # an empty enum is invalid
