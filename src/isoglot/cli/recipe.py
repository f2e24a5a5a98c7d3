"""A recipe: a TOML file that gives a command's flags; and what a flag's value is held to, typed or in a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from cyclopts import App, ArgumentCollection
from cyclopts.config import Dict

from isoglot.core.errors import InputError

Config = Callable[[App, tuple[str, ...], ArgumentCollection], None]


def read_recipe(path: str, commands: App) -> Config:
    """Read a recipe for the parser.

    Args:
        path: of the TOML file.
        commands: all of them, whose names are no keys unless the verb has a flag of that name.

    Raises:
        InputError: it cannot be read or is not TOML; later, a key or table named like a command.
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
        # Below the verb: at the root the parser drops what has a command's name, a verb's own flags included.
        below: dict[str, Any] = values
        for name in reversed(names):
            below = {name: below}
        Dict(below, source=path)(verb, names, arguments)

    return apply


def require_whole(verb: App, names: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse fractions for whole numbers, which the parser would round; 30.0 is whole.

    Raises:
        InputError: there is one.
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
        return False  # no number at all, as the parser will say
