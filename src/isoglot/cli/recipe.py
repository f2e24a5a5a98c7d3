"""Recipes (TOML files with a command's flags), and a check of flag values, from the command line or a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict

from isoglot.core.errors import InputError

Config = Callable[[App, tuple[str, ...], ArgumentCollection], None]


def read_recipe(path: str, commands: App) -> Config:
    """Read a recipe and return it as a configuration for the parser.

    Args:
        path: the TOML file.
        commands: the app with all commands, whose names are not allowed as keys unless the verb has such a flag.

    Raises:
        InputError: the file cannot be read or is not TOML; when applied, a key or table has the name of a command.
    """
    import tomllib

    try:
        with open(path, "rb") as stream:
            values = tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error

    def apply(verb: App, names: tuple[str, ...], arguments: ArgumentCollection) -> None:
        flags = {name[2:].replace("-", "_") for argument in arguments for name in argument.names if name[:2] == "--"}
        wrong = [key for key in values if key in commands and key.replace("-", "_") not in flags]
        if wrong:
            raise InputError(
                f"{path}: {wrong[0]} is a command; a recipe is a flat table of one command's flags, such as "
                "max-steps = 150, without tables"
            )
        # Nested under the verb: at the root, the parser drops keys named like a command, even the verb's own flags.
        below: dict[str, Any] = values
        for name in reversed(names):
            below = {name: below}
        Dict(below, source=path)(verb, names, arguments)

    return apply


def require_whole(verb: App, names: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Reject fractions for integer flags, which the parser would round; 30.0 is allowed.

    Raises:
        InputError: an integer flag has a fraction.
    """
    for argument in arguments:
        kinds = {kind for kind in get_args(argument.hint) if kind is not type(None)} or {argument.hint}
        if kinds != {int}:
            continue
        for token in argument.tokens:
            if _is_fraction(token.value):
                raise InputError(f"{argument.name} {token.value}: expected a whole number")


def _is_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except ValueError:
        return False  # not a number: the parser reports that
