"""Translate the argument names in error messages into the flags of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cyclopts import App

# Arguments whose flag has another name.
_OTHERWISE = {
    "endpoint": "expand",
    "folder": "output_dir",
    "hosts": "allow_host",
    "layouts": "layout",
    "strategy": "expand_with",
}
# A name begins a message (`lr 0: expected ...`), or is in backticks further on.
_NAMED = re.compile(r"\A(?P<first>[a-z][a-z0-9_.]*)(?=:? )|`(?P<later>[a-z][a-z0-9_.]*)`")


def as_typed(message: str, app: App, tokens: Sequence[str]) -> str:
    """Replace the argument names in an error message by the flags of the verb that was called.

    Functions raise `lr 0: expected a positive number; or give `grad_cache` 16`, in the terms of a program that calls
    them. The name of a nested setting is a path, as in Python: `lora.rank`.

    Args:
        message: the error message.
        app: the commands.
        tokens: the command-line arguments, including the verb.

    Returns:
        The message, such as `--lr 0: expected a positive number; or give --grad-cache 16`; names that are no argument
        of the verb are left as they are.
    """
    flags = flags_of(app, tokens)

    def flag(found: re.Match[str]) -> str:
        name = found["first"] or found["later"]
        return flags.get(name) or flags.get(_OTHERWISE.get(name, name)) or found[0]

    return _NAMED.sub(flag, message)


def flags_of(app: App, tokens: Sequence[str]) -> dict[str, str]:
    """Return a verb's flags by their Python names: the flag in snake case, the argument, and its dotted path."""
    flags: dict[str, str] = {}
    verb = app.parse_commands(tokens)[1][-1]
    if verb.default_command is None:
        return flags  # no verb was named
    arguments = []
    for argument in verb.assemble_argument_collection():
        long = [name for name in argument.names if name.startswith("--")]
        if argument.parameter.parse is not False and long:
            arguments.append((argument, long[0]))
            flags[long[0][2:].replace("-", "_")] = long[0]
    for argument, name in arguments:
        flags.setdefault(argument.field_info.name, name)
        flags.setdefault(".".join(argument.keys or (argument.field_info.name,)), name)
    return flags
