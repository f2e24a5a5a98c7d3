"""Spell out the search settings in the signatures of methods that take them as keyword arguments."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from isoglot.search.request import SearchRequest

M = TypeVar("M", bound=Callable[..., Any])


def takes_settings(method: M) -> M:
    """Decorate a method with `**how: Unpack[SearchSettings]` so that its signature names each setting.

    Type checkers read the annotation; `help`, notebooks and the API reference read the signature, with defaults. An
    unknown name raises TypeError, as with spelled-out arguments.
    """
    own = list(inspect.signature(method).parameters.values())
    settings = inspect.signature(SearchRequest).parameters.values()
    named = [one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD]
    positional = [one for one in named if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    signature = inspect.signature(method).replace(parameters=[*positional, *settings, *named[len(positional) :]])

    @functools.wraps(method)
    def checked(*given: Any, **how: Any) -> Any:
        for name in how:
            if name not in signature.parameters:
                raise TypeError(f"{method.__qualname__}() got an unexpected keyword argument {name!r}")
        return method(*given, **how)

    checked.__signature__ = signature  # type: ignore[attr-defined]
    return cast(M, checked)
