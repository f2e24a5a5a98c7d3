"""Check the names of a request's parameters: unknown ones are rejected, since they would have no effect."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin
from weakref import WeakKeyDictionary

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from isoglot.core.suggestions import no_such

_TOLD = 5  # wrong parameters that a message names
# Cached while the application lives: reading signatures is a tenth of a request's cost besides its search.
_read: WeakKeyDictionary[Callable[..., Any], Mapping[str, bool]] = WeakKeyDictionary()


async def known_parameters(request: Request) -> None:
    """Dependency of routes that checks the query string: known parameters only, and once each unless a list.

    Raises:
        RequestValidationError: a parameter is unknown (the message suggests the one probably meant) or repeated.
    """
    endpoint = request.scope["endpoint"]
    if endpoint not in _read:
        _read[endpoint] = parameters_of(endpoint)
    there = _read[endpoint]
    given = request.query_params
    wrong = []
    for name in given:
        if name not in there:
            wrong.append(_error(name, no_such("parameter", name, there)))
        elif not there[name] and len(given.getlist(name)) > 1:
            wrong.append(_error(name, f"given {len(given.getlist(name))} times; expected once"))
        if len(wrong) == _TOLD:
            break
    if wrong:
        raise RequestValidationError(wrong)


def parameters_of(endpoint: Callable[..., Any]) -> Mapping[str, bool]:
    """Return the names of a route's parameters, and whether each may be repeated.

    Args:
        endpoint: the route's function, all of whose arguments come from the query string.
    """
    signature = inspect.signature(endpoint)
    return {name: _is_list(parameter.annotation) for name, parameter in signature.parameters.items()}


def _is_list(annotation: Any) -> bool:
    """Whether a type is a list, or may be one: `Annotated[list[str] | None, ...]`."""
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _error(name: str, said: str) -> dict[str, Any]:
    return {"type": "unknown_parameter", "loc": ("query", name), "msg": said}
