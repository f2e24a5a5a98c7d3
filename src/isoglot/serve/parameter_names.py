"""Names of the parameters that a request gives: those that there are not are refused, since they would do nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin
from weakref import WeakKeyDictionary

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from isoglot.core.near_names import no_such

# As long as the application that a route is of: reading them is a tenth of what a request costs besides its search.
_read: WeakKeyDictionary[Callable[..., Any], Mapping[str, bool]] = WeakKeyDictionary()


async def known_parameters(request: Request) -> None:
    """A dependency of routes: the query string names their parameters alone, and each once that is no list.

    Raises:
        RequestValidationError: it names another one, which is in the message with the one that was probably meant.
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
            wrong.append(_error(name, f"given {len(given.getlist(name))} times; expected it once"))
    if wrong:
        raise RequestValidationError(wrong)


def parameters_of(endpoint: Callable[..., Any]) -> Mapping[str, bool]:
    """Names of a route's parameters, and whether each may be given several times.

    Args:
        endpoint: the function behind it, all of whose arguments stand in the query string.
    """
    signature = inspect.signature(endpoint)
    return {name: _is_list(parameter.annotation) for name, parameter in signature.parameters.items()}


def _is_list(annotation: Any) -> bool:
    """Whether a type is a list, or may be one: `Annotated[list[str] | None, ...]`."""
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _error(name: str, said: str) -> dict[str, Any]:
    return {"type": "unknown_parameter", "loc": ("query", name), "msg": said}
