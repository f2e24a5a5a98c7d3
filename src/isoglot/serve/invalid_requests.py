"""Error messages for requests that fail validation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_NO_OBJECT = "expected a JSON object, sent with Content-Type: application/json"
_READ = 100  # errors: a body of 1 MiB may have a million, and each is compared with all others
_KINDS = ("string_type", "list_type", "model_type", "model_attributes_type")


def in_words(errors: Sequence[Any]) -> tuple[str, str | None]:
    """Return the error message, and the field at fault or None.

    The invalid values themselves are left out: they may be huge, or not representable in JSON.

    Args:
        errors: pydantic's list of errors.
    """
    told = _telling(errors[:_READ])[:5]
    return "; ".join(map(_where, told)), _field(told[0])


def _telling(errors: Sequence[Any]) -> list[Any]:
    """Drop the errors of alternatives of a union type that the value was not meant to be.

    Pydantic tries a value that may be a text or a list of texts as both. If one of these types matches and only
    something inside it is wrong, only that error is kept.
    """
    kept = []
    for error in errors:
        place = _parts(error)
        others = [other for other in errors if other is not error and place and _parts(other)[:1] == place[:1]]
        better = any(other["type"] not in _KINDS or len(_parts(other)) > len(place) for other in others)
        if not (error["type"] in _KINDS and better):
            kept.append(error)
    return kept


def _parts(error: Any) -> list[str]:
    """Return an error's location in the request: the field, then the path within it."""
    place = error["loc"]
    parts = [str(part) for part in (place[1:] if place and place[0] in ("query", "body") else place)]
    # For a union type, pydantic also puts the type that it tried into the location.
    return [part for part in parts if "constrained-str" not in part]


def _where(error: Any) -> str:
    if error["type"] == "json_invalid":
        reason = (error.get("ctx") or {}).get("error", "")
        return f"the body is not JSON ({reason} at character {_parts(error)[0]})"
    place = ".".join(_parts(error))
    if not place and error["type"] in (*_KINDS, "missing"):
        return _NO_OBJECT
    said = str(error["msg"]).removeprefix("Value error, ")
    return f"{place[:80]}: {said}" if place else said


def _field(error: Any) -> str | None:
    parts = _parts(error)
    if not parts:  # the message of a check over several fields names the one at fault
        parts = re.findall(r"^Value error, (\w+): ", str(error["msg"]))
    return parts[0][:80] if parts and not parts[0].isdigit() else None
