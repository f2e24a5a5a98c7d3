"""Argument checks, whose errors name the argument, the given value and the expected one."""

from __future__ import annotations

import builtins
import inspect
import math
from collections.abc import Callable, Collection
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from isoglot.core.errors import InputError


def check_kind(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Check the type of a value.

    Args:
        name: of the argument.
        value: given.
        kinds: accepted types.
        expected: the same in words.

    Raises:
        InputError: a value of another type.

    >>> check_kind("rows", 5, dict, "a dict")
    Traceback (most recent call last):
    isoglot.core.errors.InputError: rows: given as int; expected a dict
    """
    if not isinstance(value, kinds):
        kind = type(value)
        other = kind.__module__ != "builtins" and hasattr(builtins, kind.__name__)  # such as NumPy's bool
        given = "None" if value is None else f"{kind.__module__}.{kind.__name__}" if other else kind.__name__
        raise InputError(f"{name}: given as {given}; expected {expected}")


def settle(settings: Any, of: str = "") -> None:
    """Check the switches of a frozen dataclass, and make NumPy's scalars Python's, as JSON and `random` require.

    To be called first in `__post_init__`.

    Args:
        settings: the dataclass; a field with a default of True or False is a switch.
        of: prefix of the fields' names in messages.

    Raises:
        InputError: a switch that is neither True nor False, such as 'no', which would count as true.
    """
    for field in fields(settings):
        value = plain_scalar(getattr(settings, field.name))
        if type(value) in (list, tuple):
            value = type(value)(map(plain_scalar, value))
        object.__setattr__(settings, field.name, value)
        if isinstance(field.default, bool):
            check_kind(f"{of}{field.name}", value, bool, "True or False")


def plain_scalar(value: Any) -> Any:
    """Return the Python value of a scalar of NumPy or torch; any other value as it is."""
    return value.item() if hasattr(value, "dtype") and getattr(value, "shape", None) == () else value


def check_whole(name: str, value: Any, least: int, unit: str = "", *, most: int | None = None) -> None:
    """Check that a value is a whole number of at least `least`; NumPy's integers count, True does not.

    Args:
        name: of the argument.
        value: given.
        least: minimum.
        unit: what is counted, for the message.
        most: maximum, if any.

    Raises:
        InputError: another type, or a number out of bounds.

    >>> check_whole("length", 0, 4, "tokens")
    Traceback (most recent call last):
    isoglot.core.errors.InputError: length 0: expected at least 4 tokens
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if is_whole and value >= least and (most is None or value <= most):
        return
    counted = f" {unit}" if unit else ""
    if most is not None:
        expected = f"{least} to {most}{counted}"
    elif is_whole:
        expected = f"at least {least}{counted}"
    else:
        expected = f"a whole number{f' of{counted}' if unit else ''}, at least {least}"
    raise InputError(f"{name} {value if is_whole else repr(value)}: expected {expected}")


def check_number(name: str, value: Any, expected: str, fits: Callable[[float], bool]) -> None:
    """Check that a value is a finite number within bounds; NumPy's numbers count, True does not.

    Args:
        name: of the argument.
        value: given.
        expected: the accepted numbers, in words.
        fits: returns whether a number is accepted.

    Raises:
        InputError: another type, or a number that is not accepted.

    >>> check_number("lr", "fast", "a positive number", lambda lr: lr > 0)
    Traceback (most recent call last):
    isoglot.core.errors.InputError: lr 'fast': expected a positive number
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not fits(value):
        raise InputError(f"{name} {value if is_number else repr(value)}: expected {expected}")


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """Check that a value is one of some names.

    Args:
        name: of the argument.
        value: given.
        choices: accepted.

    Raises:
        InputError: another value.

    >>> check_choice("mode", "sparse", ("dense", "lexical"))
    Traceback (most recent call last):
    isoglot.core.errors.InputError: mode 'sparse': expected one of dense, lexical
    """
    if value not in choices:
        raise InputError(f"{name} {value!r}: expected one of {', '.join(choices)}")


def check_function(name: str, value: Any, takes: int, expected: str) -> None:
    """Check that a value is callable with so many arguments; without a signature (as in C), only that it is callable.

    Args:
        name: of the argument, or of what is registered.
        value: given.
        takes: number of arguments.
        expected: what they are and what is returned, in words.

    Raises:
        InputError: not callable, or not with so many arguments.

    >>> check_function("loss 'margin'", lambda: 1, 1, "a function of a batch")
    Traceback (most recent call last):
    isoglot.core.errors.InputError: loss 'margin': too many positional arguments; expected a function of a batch
    """
    if not callable(value):
        raise InputError(f"{name}: given as {type(value).__name__}; expected {expected}")
    try:
        inspect.signature(value).bind(*[None] * takes)
    except TypeError as error:
        raise InputError(f"{name}: {error}; expected {expected}") from error
    except ValueError:
        return
