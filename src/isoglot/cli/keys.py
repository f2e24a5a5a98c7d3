"""`isoglot keys`: manage the API keys of a server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cyclopts import App

from isoglot.cli.help_page import DEFAULTS
from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json, Names

app = App(
    name="keys",
    help="Keys that open a server (isoglot serve --keys).",
    help_format="plaintext",
    default_parameter=DEFAULTS,
)


@app.command
def add(file: Path, name: str, /, *, scopes: Names = ("search",), per_minute: int | None = None) -> None:
    """Add a key and print it; only its hash is stored, so it cannot be shown again.

    Args:
        file: File of the keys; created if missing.
        name: Who the key is for.
        scopes: What it gives access to: search (page, search and re-ranking), embed (vectors), admin (metrics).
        per_minute: Most requests a minute; no limit by default.
    """
    from isoglot.serve.keys import add_key

    print(add_key(file, name, scopes, per_minute))


@app.command(name="list")
def list_keys(file: Path, /, *, as_json: Json = False) -> None:
    """Print the keys' names, scopes, limits and dates.

    Args:
        file: File of the keys.
        as_json: Print JSON.
    """
    from isoglot.serve.keys import read_keys

    keys = read_keys(file)
    if as_json:
        shown = [{name: value for name, value in asdict(key).items() if name != "sha256"} for key in keys]
        print(json_line(shown))
        return
    for key in keys:
        limit = "no limit" if key.per_minute is None else f"{key.per_minute} a minute"
        print(f"{key.name}\t{','.join(key.scopes)}\t{limit}\t{key.created}")


@app.command
def revoke(file: Path, name: str, /) -> None:
    """Remove a key; running servers reject it from their next request on.

    Args:
        file: File of the keys.
        name: Name of the key.
    """
    from isoglot.serve.keys import revoke_key

    revoke_key(file, name)
    print(f"{name} revoked")
