"""`isoglot list`: list the names that flags accept."""

from __future__ import annotations

from typing import Any, Literal

from isoglot.cli.json_output import json_line
from isoglot.cli.options import Json

Kind = Literal["benchmarks", "losses", "regimes", "stores"]


def list_names(kind: Kind, /, *, as_json: Json = False) -> None:
    """List the names that flags accept, and where each comes from.

    Args:
        kind: benchmarks, losses, regimes or stores.
        as_json: Print an object of names and origins.
    """
    found = _registry(kind)
    origins = {name: found.origin(name) for name in found.names()}
    if as_json:
        print(json_line(origins))
        return
    width = max(map(len, origins), default=0)
    for name, origin in origins.items():
        print(f"{name:<{width}}  {origin}")


def _registry(kind: Kind) -> Any:
    if kind == "benchmarks":
        from isoglot.data.benchmarks.named import BENCHMARKS

        return BENCHMARKS
    if kind == "losses":
        from isoglot.training.losses.named import LOSSES

        return LOSSES
    if kind == "stores":
        from isoglot.search.stores.named import STORES

        return STORES
    from isoglot.training.sampling.regimes import REGIMES

    return REGIMES
